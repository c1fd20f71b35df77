#include "milter/import/writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/locale/encoding_utf.hpp>

#include "policy/load/load.h"
#include "policy/mail/text.h"

namespace replygate::import {
namespace {

constexpr std::size_t kLongestName = 60;  // of 64, with room for a number

std::string table_of(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string text = "{ ";
  for (const auto& [key, value] : pairs) text += fmt::format("{}{} = {}", text.size() > 2 ? ", " : "", key, value);
  return text + " }";
}

std::string one_line(std::string_view text) {
  std::string line(trim(text));
  std::ranges::replace_if(line, is_control, ' ');
  return line;
}

}  // namespace

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (is_control(c)) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned char>(c));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string toml_list(const std::vector<std::string>& all) {
  if (all.size() == 1) return toml_string(all.front());
  std::string text = "[";
  for (const std::string& item : all) text += fmt::format("{}{}", text.size() > 1 ? ", " : "", toml_string(item));
  return text + ']';
}

std::string template_text(std::string_view text) {
  std::string result;
  for (const char c : text.substr(0, 300)) {
    if (is_control(c) || !is_ascii(c)) {
      result += '?';
    } else {
      result.append(c == '{' || c == '}' ? 2 : 1, c);
    }
  }
  return result;
}

void RuleText::when(std::string_view fact, std::string_view value) {
  const std::pair<std::string, std::string> one(fact, value);
  if (std::ranges::find(when_, one) == when_.end()) when_.push_back(one);
}

void RuleText::unless(std::string_view fact, const std::vector<std::string>& values) {
  auto it = std::ranges::find(unless_, fact, [](const auto& u) -> std::string_view { return u.first; });
  if (it == unless_.end()) it = unless_.insert(it, {std::string(fact), {}});
  for (const std::string& value : values) {
    if (std::ranges::find(it->second, value) == it->second.end()) it->second.push_back(value);
  }
}

std::string RuleText::text(std::string_view name) const {
  std::string text = fmt::format("\n[[rule]]\nname   = {}\n", toml_string(name));
  const auto line = [&](std::string_view key, std::string_view value) {
    text += fmt::format("{:<6} = {}\n", key, value);
  };
  if (!when_.empty()) line("when", table_of(when_));
  if (!unless_.empty()) {
    Pairs pairs;
    for (const auto& [fact, values] : unless_) {
      const bool bare = values.size() == 1 && (values[0] == "true" || values[0] == "false");
      pairs.emplace_back(fact, bare ? values[0] : toml_list(values));
    }
    line("unless", table_of(pairs));
  }
  for (const auto& [key, value] : lines_) line(key, value);
  return text + behind_;
}

std::string cleaned(std::string_view text) {
  std::string result = boost::locale::conv::utf_to_utf<char>(text.data(), text.data() + text.size());
  std::ranges::replace_if(result, [](char c) { return is_control(c) && c != '\n'; }, ' ');
  return result;
}

std::string problem_of(const std::string& rule) {
  const std::string policy = "version = 1\n" + rule;
  const Loaded loaded = load_policy("p", [&](const DataSource& source, std::string&) -> std::optional<std::string> {
    return source.path == "p" ? std::optional(policy) : std::nullopt;
  });
  for (const Diagnostic& d : loaded.diagnostics) {
    if (d.level == Diagnostic::Level::error) return d.message;
  }
  return "";
}

Writer::Writer(std::string_view from, const ImportSource& source) : prefix_(source.prefix) {
  policy_ = fmt::format(
      "# Written by `replygate import` from {}.\n# `include` takes it; look it over with `replygate check` and "
      "`replygate try`.\nversion = 1\n",
      from);
}

std::string Writer::name_of(std::string_view wanted) {
  std::string name;
  for (const char c : prefix_.empty() ? std::string(wanted) : fmt::format("{}-{}", prefix_, wanted)) {
    if (name.size() < kLongestName) name += is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.' ? c : '-';
  }
  if (name.empty()) name = "rule";
  std::string result = name;
  for (int count = 2; names_.contains(result); ++count) {
    result = fmt::format("{}-{}", name.substr(0, kLongestName - 4), count);
  }
  return result;
}

std::string Writer::rule(std::string_view wanted, const RuleText& rule) { return rules(wanted, {rule}); }

std::string Writer::rules(std::string_view wanted, const std::vector<RuleText>& all) {
  for (const RuleText& rule : all) {
    if (std::string why = problem_of(rule.text("r")); !why.empty()) return why;
  }
  for (const RuleText& rule : all) {
    const std::string name = name_of(wanted);
    names_.insert(name);
    policy_ += rule.text(name);
  }
  return "";
}

void Writer::comment(std::string_view text) { policy_ += fmt::format("# {}\n", one_line(text)); }

void Writer::lose(std::string_view where, std::string_view what, std::string_view why) {
  const std::string line = one_line(fmt::format("{}{}{} ({})", where, where.empty() ? "" : ": ", one_line(what), why));
  policy_ += '\n';
  comment("not carried over: " + line);
  lost_.push_back(line);
}

void Writer::remark(std::string_view text) {
  policy_ += '\n';
  comment(text);
}

}  // namespace replygate::import
