#include "policy/load/twice_defined.h"

#include <algorithm>
#include <vector>

#include "policy/mail/text.h"

namespace replygate {
namespace {

using Spot = TwiceDefined::Spot;

bool is_of_name(char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_'; }

// The last place before `end` at which a line has `name = …`; nothing where it has none.
std::optional<unsigned> column_of_key(std::string_view line, std::string_view name, std::size_t end) {
  std::optional<unsigned> found;
  for (std::size_t at = 0; (at = line.find(name, at)) != std::string_view::npos && at < end; at += name.size()) {
    std::string_view rest = line.substr(at + name.size());
    if (rest.starts_with('"') || rest.starts_with('\'')) rest.remove_prefix(1);
    const bool begins = at == 0 || !is_of_name(line[at - 1]);
    if (begins && trim(rest).starts_with('=')) found = static_cast<unsigned>(at) + 1;
  }
  return found;
}

bool is_header(std::string_view line) {
  return trim(line).starts_with('[') && line.find('=') == std::string_view::npos;
}

bool is_header_of(std::string_view line, std::string_view name) {
  if (!is_header(line)) return false;
  const std::size_t begin = line.find_first_not_of(" \t[");
  const std::size_t end = line.find(']');
  return begin < end && end != std::string_view::npos && trim(line.substr(begin, end - begin)) == name;
}

// Of a key: on the same line, or on those above, up to the header of its table.
std::optional<TwiceDefined> key_twice(const std::vector<std::string>& lines, std::string_view name, unsigned number,
                                      unsigned column) {
  const std::string& line = lines[number - 1];
  const auto second = column_of_key(line, name, std::min<std::size_t>(column, line.size()));
  if (!second) return std::nullopt;
  if (const auto first = column_of_key(line, name, *second - 1)) {
    return TwiceDefined{std::string(name), {number, *first}, {number, *second}};
  }
  for (unsigned above = number - 1; above > 0 && !is_header(lines[above - 1]); --above) {
    const auto first = column_of_key(lines[above - 1], name, std::string::npos);
    if (first) return TwiceDefined{std::string(name), {above, *first}, {number, *second}};
  }
  return std::nullopt;
}

std::optional<TwiceDefined> table_twice(const std::vector<std::string>& lines, std::string_view name, unsigned number) {
  const auto begin_of = [&](unsigned n) { return static_cast<unsigned>(lines[n - 1].find_first_not_of(" \t[")) + 1; };
  for (unsigned above = 1; above < number; ++above) {
    if (!is_header_of(lines[above - 1], name)) continue;
    return TwiceDefined{std::string(name), {above, begin_of(above)}, {number, begin_of(number)}};
  }
  return std::nullopt;
}

}  // namespace

std::optional<TwiceDefined> twice_defined(std::string_view text, unsigned line, unsigned column,
                                          std::string_view said) {
  const std::size_t open = said.find('\'');
  const std::size_t close = said.rfind('\'');
  if (said.find("redefine") == std::string_view::npos || open >= close || close == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string_view name = said.substr(open + 1, close - open - 1);
  const std::vector<std::string> lines = lines_of(text);
  if (name.empty() || line == 0 || line > lines.size()) return std::nullopt;
  return is_header_of(lines[line - 1], name) ? table_twice(lines, name, line) : key_twice(lines, name, line, column);
}

}  // namespace replygate
