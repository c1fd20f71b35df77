#include "policy/load/diagnostic.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

std::string_view line_of(const Sources& sources, const Region& region, unsigned number) {
  const auto it = sources.find(region.file.get());
  if (it == sources.end()) return {};
  std::string_view text = it->second;
  for (unsigned line = 1; line < number && !text.empty(); ++line) {
    const std::size_t end = text.find('\n');
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  text = text.substr(0, text.find('\n'));
  return text.ends_with('\r') ? text.substr(0, text.size() - 1) : text;
}

// Tabs stay tabs, so that the carets stand under their text whatever a tab is wide.
std::string indent_like(std::string_view line, std::size_t columns) {
  std::string indent;
  for (std::size_t i = 0; i < columns; ++i) indent += i < line.size() && line[i] == '\t' ? '\t' : ' ';
  return indent;
}

// What is printed is UTF-8, whatever the source is.
std::string printable_line(std::string_view line) {
  std::string text(line);
  if (!is_utf8(line)) std::ranges::replace_if(text, [](char c) { return !is_ascii(c); }, '?');
  return text;
}

std::size_t end_of_value(std::string_view line, std::size_t begin) {
  const char quote = line[begin];
  if (quote != '"' && quote != '\'') return std::min(line.find_first_of(" \t,}", begin), line.size());
  for (std::size_t i = begin + 1; i < line.size(); ++i) {
    if (line[i] == '\\' && quote == '"') {
      ++i;
    } else if (line[i] == quote) {
      return i + 1;
    }
  }
  return line.size();
}

// Behind "password =" in a line of the policy: which keys have secrets nobody who misspells one knows.
std::string without_secrets(std::string line) {
  static constexpr std::array<std::string_view, 4> kSecrets = {"passw", "secret", "bind_pw", "bindpw"};
  for (const std::string_view secret : kSecrets) {
    for (std::size_t at = 0; (at = to_lower(line).find(secret, at)) != std::string::npos; at += secret.size()) {
      const std::size_t end = line.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-", at);
      const std::size_t sign = line.find_first_not_of(" \t", end);
      if (end == std::string::npos || sign == std::string::npos || line.substr(0, end).ends_with("_file")) continue;
      if (line[sign] != '=' && line[sign] != ':') continue;
      const std::size_t value = line.find_first_not_of(" \t", sign + 1);
      if (value == std::string::npos) continue;
      line.replace(value, end_of_value(line, value) - value, "(hidden)");
    }
  }
  return line;
}

std::string label_lines(const Label& label, char mark, const Sources& sources, int width) {
  const Region& r = label.region;
  const std::string line = without_secrets(printable_line(line_of(sources, r, r.line)));
  const std::size_t last = r.end_line > r.line ? line.size() + 1 : r.end_column;
  const std::size_t length = last > r.column ? last - r.column : 1;
  return fmt::format("{:>{}} | {}\n{:>{}} | {}{}{}{}\n", r.line, width, line, "", width,
                     indent_like(line, r.column - 1), std::string(length, mark), label.text.empty() ? "" : " ",
                     label.text);
}

}  // namespace

std::string_view to_string(Diagnostic::Level level) {
  constexpr std::array<std::string_view, 3> words = {"error", "warning", "note"};
  return words[static_cast<std::size_t>(level)];
}

std::string render(const Diagnostic& d, const Sources& sources) {
  const Region& at = d.primary.region;
  std::string text = fmt::format("{}[RG{}]: {}\n", to_string(d.level), static_cast<int>(d.code), d.message);
  if (at.line == 0) {
    if (!at.file.empty()) text += fmt::format("  --> {}\n", at.file.get());
    if (!d.help.empty()) text += fmt::format("   = help: {}\n", d.help);
    return text + '\n';
  }
  const unsigned widest = std::max(at.line, d.secondary ? d.secondary->region.line : 0U);
  const int width = static_cast<int>(std::max<std::size_t>(2, std::to_string(widest).size()));
  const std::string bar = fmt::format("{:>{}} |\n", "", width);
  text += fmt::format("  --> {}:{}:{}\n", at.file.get(), at.line, at.column) + bar;
  const std::string primary = label_lines(d.primary, '^', sources, width);
  if (d.secondary) {
    const Region& other = d.secondary->region;
    const std::string secondary = label_lines(*d.secondary, '-', sources, width);
    if (other.file != at.file) {
      text +=
          primary + bar + fmt::format("  ::: {}:{}:{}\n", other.file.get(), other.line, other.column) + bar + secondary;
    } else {
      text += other.line < at.line ? secondary + primary : primary + secondary;
    }
  } else {
    text += primary;
  }
  text += bar;
  if (!d.help.empty()) text += fmt::format("{:>{}} = help: {}\n", "", width, d.help);
  return text + '\n';
}

std::string render_json(std::span<const Diagnostic> diagnostics) {
  boost::json::array all;
  for (const Diagnostic& d : diagnostics) {
    const Region& at = d.primary.region;
    boost::json::object object{{"level", to_string(d.level)},
                               {"code", fmt::format("RG{}", static_cast<int>(d.code))},
                               {"message", d.message},
                               {"file", at.file.get()},
                               {"line", at.line},
                               {"column", at.column},
                               {"end_line", at.end_line},
                               {"end_column", at.end_column},
                               {"label", d.primary.text},
                               {"help", d.help}};
    if (d.secondary) {
      const Region& other = d.secondary->region;
      object["secondary"] = boost::json::object{
          {"file", other.file.get()}, {"line", other.line}, {"column", other.column}, {"label", d.secondary->text}};
    }
    all.push_back(std::move(object));
  }
  return boost::json::serialize(all) + '\n';
}

}  // namespace replygate
