#include "milter/import/postfwd/lexer.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <map>

#include "policy/base/re2_piece.h"
#include "policy/mail/text.h"

namespace replygate::import::postfwd {
namespace {

constexpr std::size_t kLongestLine = 65536;  // macros that name themselves end there
constexpr std::string_view kSign = R"((?:[=~<>]=|[<>]|[=!][=~<>]|=))";

struct Logical {
  unsigned number = 0;
  std::string text;
};

// Quotes have no meaning there, not even around a '#'.
std::string without_comment(std::string_view line) {
  std::string result;
  for (const char c : line) {
    if (c == '#') break;
    if (c != '"') result += c;
  }
  return result;
}

// With their blanks.
std::vector<std::string_view> physical_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool ends_with_semicolon(std::string_view text) { return trim(text).ends_with(';'); }

// A line goes on behind a '\' or a '{', and the next one belongs to it if it is indented or begins with '}'.
std::vector<Logical> logical_lines(std::string_view text) {
  std::vector<Logical> lines;
  std::string buffer;
  unsigned number = 0;
  unsigned began = 0;
  for (const std::string_view physical : physical_lines(text)) {
    ++number;
    const std::string line = without_comment(physical);
    const std::string_view bare = trim(line);
    if (bare.empty()) continue;
    if (buffer.empty()) began = number;
    if (bare.ends_with('\\')) {
      buffer += line.substr(0, line.rfind('\\'));
      continue;
    }
    if (bare.ends_with('{')) {
      buffer += line.substr(0, line.rfind('{') + 1);
      continue;
    }
    buffer += line;
    const bool belongs = buffer.front() == '}' || (is_blank(buffer.front()) && !trim(buffer).empty());
    if (!lines.empty() && belongs) {
      std::string& last = lines.back().text;
      if (!ends_with_semicolon(last)) last += ';';
      last += buffer;
    } else {
      lines.push_back({began, buffer});
    }
    buffer.clear();
  }
  return lines;
}

class Macros {
 public:
  // Whether the line defines one.
  bool define(const std::string& line) {
    static const RE2 definition(R"(^\s*(&&[-\w]+)\s*\{\s*(.*?)\s*;?\s*\}[\s;]*$)");
    std::string name;
    std::string body;
    if (!RE2::FullMatch(line, definition, &name, &body)) return false;
    bodies_[name] = body;
    return true;
  }

  // Gives why it cannot be done.
  std::string expand(std::string& line) const {
    static const RE2 use(R"((&&[-\w]+))");
    std::string name;
    while (RE2::PartialMatch(line, use, &name)) {
      const auto it = bodies_.find(name);
      if (it == bodies_.end()) return fmt::format("the macro {} is not defined, and postfwd ignores the line", name);
      line = with(line, name, it->second);
      if (line.size() > kLongestLine) return fmt::format("the macro {} goes on without end", name);
    }
    return "";
  }

 private:
  static std::string with(const std::string& line, const std::string& name, const std::string& body) {
    std::string result;
    std::size_t begin = 0;
    for (std::size_t at = line.find(name); at != std::string::npos; at = line.find(name, begin)) {
      std::size_t end = at;
      while (end > begin && is_blank(line[end - 1])) --end;
      result += line.substr(begin, end - begin) + body;
      begin = at + name.size();
      while (begin < line.size() && is_blank(line[begin])) ++begin;
      if (result.size() > kLongestLine) break;
    }
    return result + line.substr(begin);
  }

  std::map<std::string, std::string> bodies_;
};

// False where postfwd calls the line invalid.
bool split_items(const std::string& line, std::vector<Item>& items) {
  // Its alternatives for a sign have no parentheses there: each is a whole expression, which few lines do not match.
  static const RE2 valid(R"(^\s*[^=\s]+\s*[=~<>]=|[<>]|[=!][=~<>]|)"
                         R"(=\s*(?:[^;\s]+\s*)+(?:;\s*[^=\s]+\s*[=~<>]=|[<>]|[=!][=~<>]|=\s*(?:[^;\s]+\s*)+)*[;\s]*$)");
  static const RE2 parts(fmt::format(R"(^\s*(.*?)\s*({0})\s*(.*?)\s*$)", kSign));
  if (!RE2::PartialMatch(line, valid)) return false;
  std::string_view rest = line;
  while (!rest.empty() && (rest.back() == ';' || is_blank(rest.back()))) rest.remove_suffix(1);
  for (const std::string_view text : split(rest, ';')) {
    Item item;
    if (!RE2::FullMatch(to_piece(text), parts, &item.key, &item.sign, &item.value)) item.key = std::string(trim(text));
    if (item.sign == "<=" || item.sign == ">=" || item.sign == "~=") item.sign = fmt::format("={}", item.sign[0]);
    items.push_back(std::move(item));
  }
  return true;
}

}  // namespace

std::vector<Line> lines_of(std::string_view text) {
  std::vector<Line> lines;
  Macros macros;
  for (Logical& logical : logical_lines(text)) {
    if (macros.define(logical.text)) continue;
    Line line{.number = logical.number, .text = std::move(logical.text), .items = {}, .why = {}};
    line.why = macros.expand(line.text);
    if (line.why.empty() && !split_items(line.text, line.items))
      line.why = "postfwd calls the line invalid and ignores it";
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace replygate::import::postfwd
