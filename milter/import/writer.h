#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "milter/import/importer.h"

// What all importers write with.
namespace replygate::import {

constexpr std::int64_t kLongestPeriod = 3650LL * 86400;  // seconds: what a policy can say

// A TOML string; a string or an array of strings; a text for replies, in which braces are braces.
std::string toml_string(std::string_view text);
std::string toml_list(const std::vector<std::string>& all);
std::string template_text(std::string_view text);

// A rule that is being written. Conditions on one fact: within `unless` they are alternatives, within `when` the values
// of one call are.
class RuleText {
 public:
  void add(std::string_view key, std::string_view value) { lines_.emplace_back(key, value); }
  void when(std::string_view fact, std::string_view value);
  void unless(std::string_view fact, const std::vector<std::string>& values);
  bool has_conditions() const { return !when_.empty() || !unless_.empty(); }
  // What stands behind the rule: [rule.override].
  void behind(std::string_view text) { behind_ += text; }
  bool ends() const { return behind_.empty(); }  // nothing stands there yet
  std::string text(std::string_view name) const;

 private:
  using Pairs = std::vector<std::pair<std::string, std::string>>;

  Pairs lines_;
  Pairs when_;
  std::vector<std::pair<std::string, std::vector<std::string>>> unless_;
  std::string behind_;
};

// As TOML can have it: without octets that are no UTF-8, blanks for control characters other than LF.
std::string cleaned(std::string_view text);

// Why the text of a rule is no rule of ours; "" where it is one.
std::string problem_of(const std::string& rule);

// The policy, rule by rule in the order of the source.
class Writer {
 public:
  // `from`: what is imported, for people.
  Writer(std::string_view from, const ImportSource& source);

  // Writes the rule under a name made of `wanted`, unless it is none of ours: gives why then, and has written nothing.
  std::string rule(std::string_view wanted, const RuleText& rule);
  // Several rules that are one in the source: all, or none.
  std::string rules(std::string_view wanted, const std::vector<RuleText>& all);
  // At its place, and for stderr.
  void lose(std::string_view where, std::string_view what, std::string_view why);
  // A comment that tells of no loss.
  void remark(std::string_view text);
  // Text as it is; it must load.
  void verbatim(std::string_view text) { policy_ += text; }

  std::size_t losses() const { return lost_.size(); }
  Imported finish() { return {std::move(policy_), std::move(lost_)}; }

 private:
  std::string name_of(std::string_view wanted);
  void comment(std::string_view text);

  std::string prefix_;
  std::string policy_;
  std::vector<std::string> lost_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace replygate::import
