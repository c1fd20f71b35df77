#pragma once

#include <re2/re2.h>
#include <re2/set.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace replygate {

// How expressions of statuses are compiled: on octets, since texts come in any character set.
re2::RE2::Options status_options();

// A piece of an expression that every text has in which it is found, the longest that is easily told; "" where there is
// none. A view of the expression. Pure; any thread.
std::string_view sure_piece(std::string_view expression);

// Some expressions that are looked for. Those of the first texts one by one, where a text has their sure piece: the
// automaton that looks for all at once takes longer to make than a few texts are worth. One thread.
class PhraseSet {
 public:
  // `index` is the caller's name of the expression.
  void add(const std::string& text, std::size_t index);

  std::size_t size() const { return texts_.size(); }

  // Appends to `hits` those that `text` has, by the caller's names; in no order.
  void look_at(const std::string& text, std::vector<std::size_t>& hits);

 private:
  void look_one_by_one(const std::string& text, std::vector<std::size_t>& hits);

  std::vector<std::string> texts_;
  std::vector<std::size_t> indices_;
  std::vector<std::string> pieces_;                    // that are sure, until there is one set of all
  std::vector<std::unique_ptr<re2::RE2::Set>> alone_;  // of one each, until there is one of all
  unsigned looked_ = 0;                                // at how many texts, until then
  std::unique_ptr<re2::RE2::Set> set_;
  std::vector<int> found_;
};

}  // namespace replygate
