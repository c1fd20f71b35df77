#include "policy/load/syntax_help.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/load/foreign.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

std::string_view line_of(std::string_view text, unsigned number) {
  for (unsigned line = 1; line < number && !text.empty(); ++line) {
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  }
  return text.substr(0, text.find('\n'));
}

bool is_key_octet(char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.'; }

std::string_view word_at(std::string_view line, std::size_t at) {
  std::size_t end = at;
  while (end < line.size() && is_key_octet(line[end])) ++end;
  return line.substr(at, end - at);
}

std::string_view word_before(std::string_view line, std::size_t at) {
  while (at > 0 && is_blank(line[at - 1])) --at;
  std::size_t begin = at;
  while (begin > 0 && is_key_octet(line[begin - 1])) --begin;
  return line.substr(begin, at - begin);
}

// One line as far as quotes and braces tell.
struct Scan {
  char open_quote = 0;                           // of a string that the line does not end
  std::size_t brace = std::string_view::npos;    // of the outermost inline table that it does not end
  std::size_t comment = std::string_view::npos;  // where ; or // begins outside of strings
  std::size_t colon = std::string_view::npos;    // behind a key
  std::size_t twice = std::string_view::npos;    // where == stands
};

Scan scanned(std::string_view line) {
  Scan scan;
  int depth = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (scan.open_quote != 0) {
      if (c == '\\' && scan.open_quote == '"') ++i;
      if (c == scan.open_quote) scan.open_quote = 0;
      continue;
    }
    const std::string_view rest = line.substr(i);
    if (c == '"' || c == '\'') scan.open_quote = c;
    if (c == '#') break;
    if (c == '{' && depth++ == 0) scan.brace = i;
    if (c == '}' && --depth == 0) scan.brace = std::string_view::npos;
    if (scan.comment == std::string_view::npos && (c == ';' || rest.starts_with("//"))) scan.comment = i;
    if (scan.colon == std::string_view::npos && c == ':' && !word_before(line, i).empty()) scan.colon = i;
    if (scan.twice == std::string_view::npos && rest.starts_with("==")) scan.twice = i;
  }
  return scan;
}

// "rule" for what stands below [[rule]].
std::string_view table_above(std::string_view text, unsigned number) {
  for (unsigned line = number; line > 0; --line) {
    std::string_view header = trim(line_of(text, line));
    if (!header.starts_with('[')) continue;
    header.remove_prefix(std::min(header.find_first_not_of('['), header.size()));
    return header.substr(0, header.find(']'));
  }
  return "";
}

std::string unclosed_table_help(std::string_view text, unsigned number, std::string_view line, std::size_t brace) {
  std::size_t sign = brace;
  while (sign > 0 && (is_blank(line[sign - 1]) || line[sign - 1] == '=')) --sign;
  const std::string_view key = word_before(line, sign);
  const std::string_view table = table_above(text, number);
  constexpr std::string_view kOneLine = "TOML wants { … } on one line";
  if (key.empty() || table.empty()) return std::string(kOneLine);
  return fmt::format("{}; or write [{}.{}] and its keys on lines below", kOneLine, table, key);
}

std::string typographic_help(std::string_view line) {
  for (const std::string_view quote : {"“", "”", "„", "‘", "’", "«", "»"}) {
    if (line.find(quote) != std::string_view::npos) return fmt::format("write \" instead of {}", quote);
  }
  return "";
}

std::string header_help(std::string_view line) {
  std::string_view name = trim(line);
  const bool array = name.starts_with("[[") || name.ends_with("]]");
  while (name.starts_with('[')) name.remove_prefix(1);
  name = trim(name.substr(0, name.find_first_of("]#")));
  return array || name == "rule" || name == "test" ? fmt::format("write [[{}]]", name)
                                                   : fmt::format("write [{}]", name);
}

// What a value without quotes was probably meant to be.
std::string unquoted_help(std::string_view line) {
  for (std::size_t at = line.find('='); at != std::string_view::npos; at = line.find('=', at + 1)) {
    const std::string_view rest = trim(line.substr(at + 1));
    std::size_t end = rest.find_first_of(",}#");
    const bool sign = rest.starts_with('>') || rest.starts_with('<');
    if (!sign && (rest.empty() || (!is_digit(rest[0]) && !is_alpha(rest[0])))) continue;
    if (rest.starts_with(">=") || rest.starts_with("<=")) end = rest.find_first_of(",}#", 2);
    const std::string_view value = trim(rest.substr(0, end));
    if (value == "true" || value == "false" || std::ranges::all_of(value, is_digit)) continue;
    if (const std::string_view flag = boolean_called(value); !flag.empty()) return fmt::format("write {}", flag);
    return fmt::format("quantities, comparisons and words stand in quotes: write \"{}\"", value);
  }
  return "";
}

// The word that stands where a comma should.
std::string comma_help(std::string_view line, std::size_t at) {
  if (at >= line.size()) return "";
  if (line[at] == '}') return "the array is not closed: add ] before }";
  const std::string_view word =
      is_key_octet(line[at]) ? word_at(line, at) : line.substr(at, line.find_first_of(",]}", at) - at);
  return fmt::format("a comma is missing before {}", trim(word));
}

// A header or a key: whatever was open above should have been closed by then.
bool begins_anew(std::string_view line) {
  line = trim(line);
  if (line.starts_with('[')) return true;
  const std::size_t end = line.find_first_of("= \t");
  return end != std::string_view::npos && end > 0 && std::ranges::all_of(line.substr(0, end), is_key_octet) &&
         trim(line.substr(end)).starts_with('=');
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

std::string syntax_help(std::string_view text, unsigned number, unsigned column, std::string_view said) {
  const std::string_view line = line_of(text, number);
  const std::size_t at = column > 0 ? column - 1 : 0;
  const Scan scan = scanned(line);
  if (std::string help = typographic_help(line); !help.empty()) return help;
  if (has(said, "redefine") && has(said, "table")) return "put both parts into one table";
  if (has(said, "redefine")) return "a key stands once in a table; several values are an array: [\"…\", \"…\"]";
  if (has(said, "escape sequence"))
    return "write the string in single quotes: a backslash is nothing special between them";
  if (scan.open_quote != 0) return fmt::format("the string is not closed on this line: add {}", scan.open_quote);
  if (scan.comment != std::string_view::npos) {
    return trim(line).size() - 1 == scan.comment ? "remove it: nothing ends a line" : "a comment begins with #";
  }
  if (scan.twice != std::string_view::npos) return "write = once";
  if (has(line, "=>")) return "write = for =>";
  if (has(said, "leading zeroes")) return "write the number without the 0 in front";
  if (trim(line).ends_with(',') && has(line, "=")) return "remove the comma: nothing ends a line";
  if (has(line, "= [ ") && has(said, "value type")) return "conditions stand in braces: when = { FACT = … }";
  if (has(said, "table header")) return header_help(line);
  const std::string_view before = trim(line.substr(0, std::min(at, line.size())));
  const bool at_begin = before.empty() || before == "[";
  if (at_begin && begins_anew(line) && (has(said, "array") || (before == "[" && has(said, "value")))) {
    return "the array above is not closed: add ]";
  }
  if (has(said, "expected comma") && has(said, "array")) return comma_help(line, at);
  if (scan.brace != std::string_view::npos) return unclosed_table_help(text, number, line, scan.brace);
  if (has(said, "expected comma")) return comma_help(line, at);
  if (has(said, "expected '='") && scan.colon != std::string_view::npos) {
    return fmt::format("write {} = …, with = for the colon", word_before(line, scan.colon));
  }
  if (has(said, "expected '='") && !word_before(line, at).empty()) {
    return fmt::format("= is missing after {}", word_before(line, at));
  }
  if (std::string help = unquoted_help(line); !help.empty()) return help;
  return "the file is TOML; see conf/POLICY.md for examples";
}

}  // namespace replygate
