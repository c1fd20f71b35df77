#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Rules of other programs as a policy. Pure: text in, text out.
namespace replygate {

struct Imported {
  std::string policy;             // TOML
  std::vector<std::string> lost;  // what could not be carried over, each with its line
};

// access(5) of Postfix. `as`: what the keys are: "client", "helo", "sender" or "recipient".
Imported import_access(std::string_view text, std::string_view as);
// The rule set of postfwd.
Imported import_postfwd(std::string_view text);
// The YAML of policyd-rate-limit. Where it is no YAML the policy is "" and `lost` says why.
Imported import_policyd_rate_limit(const std::string& text);

namespace import {

// A rule that is being written.
class RuleText {
 public:
  explicit RuleText(std::string_view name) { add("name", quoted(name)); }

  void add(std::string_view key, std::string_view value) { lines_.emplace_back(key, value); }
  // One of when or unless: fact = value, already TOML.
  void condition(bool when, std::string_view fact, std::string_view value) {
    (when ? when_ : unless_).emplace_back(fact, value);
  }
  bool has_conditions() const { return !when_.empty() || !unless_.empty(); }
  std::string text() const;

  static std::string quoted(std::string_view text);                     // a TOML string
  static std::string quoted_list(const std::vector<std::string>& all);  // one string, or an array

 private:
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  static std::string table(const Pairs& pairs);

  Pairs lines_;
  Pairs when_;
  Pairs unless_;
};

// "450 4.7.1 text", "REJECT text", "DEFER": the value of `reply`; "" for anything else.
std::string reply_of(std::string_view action);
// What stands behind the first word.
std::string_view rest_of(std::string_view text);
// A name for rules made of any text.
std::string name_of(std::string_view text);

// As TOML can have it: without octets that are no UTF-8, blanks for control characters other than LF.
std::string cleaned(std::string_view text);

// Why the text of a rule is no rule of ours; "" where it is one.
std::string problem_of(const std::string& rule);

std::string head(std::string_view from);
// What was lost, one comment a line.
std::string comments(const std::vector<std::string>& lost);

}  // namespace import
}  // namespace replygate
