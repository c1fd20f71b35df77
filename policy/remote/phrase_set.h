#pragma once

#include <re2/re2.h>
#include <re2/set.h>

#include <memory>
#include <string>
#include <vector>

namespace replygate {

// How expressions of statuses are compiled: on octets, since texts come in any character set.
re2::RE2::Options status_options();

// Some expressions that are looked for together; compiled when first needed. One thread.
class PhraseSet {
 public:
  // `index` is the caller's name of the expression.
  void add(const std::string& text, std::size_t index);

  std::size_t size() const { return texts_.size(); }

  // Appends to `hits` those that `text` has, by the caller's names; in no order.
  void look_at(const std::string& text, std::vector<std::size_t>& hits);

 private:
  void compile();

  std::vector<std::string> texts_;
  std::vector<std::size_t> indices_;
  std::unique_ptr<re2::RE2::Set> set_;
  std::vector<int> found_;
};

}  // namespace replygate
