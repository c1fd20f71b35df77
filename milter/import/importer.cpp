#include "milter/import/importer.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/locale/encoding_utf.hpp>

#include "policy/catalogue/enhanced.h"
#include "policy/load/load.h"
#include "policy/mail/text.h"

namespace replygate::import {
namespace {

// Printable ASCII, with braces as templates want them.
std::string template_text(std::string_view text) {
  std::string result;
  for (const char c : text) {
    if (is_control(c) || !is_ascii(c)) {
      result += '?';
    } else {
      result.append(c == '{' || c == '}' ? 2 : 1, c);
    }
  }
  return result.substr(0, 300);
}

}  // namespace

std::string RuleText::quoted(std::string_view text) {
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

std::string RuleText::quoted_list(const std::vector<std::string>& all) {
  if (all.size() == 1) return quoted(all.front());
  std::string text = "[";
  for (const std::string& item : all) text += fmt::format("{}{}", text.size() > 1 ? ", " : "", quoted(item));
  return text + ']';
}

std::string RuleText::table(const Pairs& pairs) {
  std::string text = "{ ";
  for (const auto& [key, value] : pairs) text += fmt::format("{}{} = {}", text.size() > 2 ? ", " : "", key, value);
  return text + " }";
}

std::string RuleText::text() const {
  std::string text = "\n[[rule]]\n";
  const auto line = [&](std::string_view key, std::string_view value) {
    text += fmt::format("{:<6} = {}\n", key, value);
  };
  line(lines_.front().first, lines_.front().second);
  if (!when_.empty()) line("when", table(when_));
  if (!unless_.empty()) line("unless", table(unless_));
  for (std::size_t i = 1; i < lines_.size(); ++i) line(lines_[i].first, lines_[i].second);
  return text;
}

std::string_view rest_of(std::string_view text) {
  const std::size_t end = text.find_first_of(" \t");
  return end == std::string_view::npos ? std::string_view() : trim(text.substr(end));
}

std::string reply_of(std::string_view action) {
  action = trim(action);
  std::string_view word = action.substr(0, action.find_first_of(" \t"));
  std::string_view text = rest_of(action);
  int code = 0;
  if (word.size() == 3 && (word[0] == '4' || word[0] == '5') && is_digit(word[1]) && is_digit(word[2])) {
    code = (word[0] - '0') * 100 + (word[1] - '0') * 10 + (word[2] - '0');
  } else if (equal_ignoring_case(word, "REJECT")) {
    code = 554;
  } else if (equal_ignoring_case(word, "DEFER") || equal_ignoring_case(word, "DEFER_IF_PERMIT") ||
             equal_ignoring_case(word, "DEFER_IF_REJECT")) {
    code = 450;
  }
  if (code == 0) return "";
  std::string fields = fmt::format("code = {}", code);
  const std::string_view status = text.substr(0, text.find_first_of(" \t"));
  if (const auto enhanced = EnhancedCode::parse(status); enhanced && enhanced->severity == code / 100) {
    fields += fmt::format(", enhanced = \"{}\"", status);
    text = rest_of(text);
  }
  if (!text.empty()) fields += fmt::format(", text = {}", RuleText::quoted(template_text(text)));
  return fields.find(',') == std::string::npos ? std::to_string(code) : fmt::format("{{ {} }}", fields);
}

std::string name_of(std::string_view text) {
  std::string name;
  for (const char c : text.substr(0, 60))
    name += is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.' ? c : '-';
  return name.empty() ? "rule" : name;
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

std::string comments(const std::vector<std::string>& lost) {
  std::string text;
  for (std::string line : lost) {
    std::ranges::replace_if(line, is_control, ' ');
    text += fmt::format("# not carried over: {}\n", line);
  }
  return text;
}

std::string head(std::string_view from) {
  return fmt::format(
      "# Written by `replygate import` from {}. Look it over: `replygate check` and `replygate try` help.\nversion = "
      "1\n\n"
      "[site]\nrelay = \"mta\"    # the rules below say nothing of relaying\n",
      from);
}

}  // namespace replygate::import
