#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace replygate::import::postfix {

// The output of `postconf -n`, or main.cf.
class MainCf {
 public:
  explicit MainCf(std::string_view text);

  // With $name in its place; nothing where it is not set.
  std::optional<std::string> get(std::string_view name) const;
  bool empty() const { return values_.empty(); }
  // Cut at blanks and commas; what stands in braces is one word.
  static std::vector<std::string> words(std::string_view text);

 private:
  std::string expanded(const std::string& text, int depth, int& left) const;  // left: expansions that are still made

  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace replygate::import::postfix
