#include "milter/import/access/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "policy/mail/ip.h"
#include "policy/mail/text.h"

namespace replygate::import::access {
namespace {

constexpr std::string_view kIndexed[] = {"hash", "btree", "lmdb",     "cdb",
                                         "dbm",  "sdbm",  "texthash", "$default_database_type"};
constexpr std::string_view kPatterns[] = {"pcre", "regexp"};

struct Logical {
  unsigned line = 0;
  std::string text;
};

// Indented lines go on with the one before; comments and empty lines may stand between.
std::vector<Logical> logical_lines(std::string_view text) {
  std::vector<Logical> lines;
  unsigned number = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    const std::string_view bare = trim(line);
    if (bare.empty() || bare.starts_with('#')) continue;
    if (is_blank(line.front()) && !lines.empty()) {
      lines.back().text += fmt::format(" {}", bare);
    } else {
      lines.push_back({number, std::string(bare)});
    }
  }
  return lines;
}

bool opens_pattern(std::string_view text) { return text.starts_with('/') || text.starts_with("!/"); }

bool is_block(std::string_view text) {
  const std::string_view word = text.substr(0, text.find_first_of(" \t"));
  return equal_ignoring_case(word, "if") || equal_ignoring_case(word, "endif");
}

Type type_of(std::string_view name, const std::vector<Logical>& lines) {
  if (name == "cidr") return Type::cidr;
  if (std::ranges::find(kPatterns, name) != std::end(kPatterns)) return Type::pattern;
  if (!name.empty()) return Type::indexed;
  if (std::ranges::any_of(lines, [](const Logical& l) { return opens_pattern(l.text); })) return Type::pattern;
  const bool networks = std::ranges::any_of(lines, [](const Logical& l) {
    std::string_view key = std::string_view(l.text).substr(0, l.text.find_first_of(" \t"));
    if (key.starts_with('!')) key.remove_prefix(1);
    return key.find('/') != std::string_view::npos && IpNetwork::parse(key).has_value();
  });
  return networks ? Type::cidr : Type::indexed;
}

// "/expression/flags action"
void read_pattern(Entry& entry) {
  std::string_view text = entry.text;
  if (text.starts_with('!')) {
    entry.negated = true;
    text.remove_prefix(1);
  }
  if (text.empty()) {
    entry.why = "Postfix cannot read it";
    return;
  }
  const char slash = text.front();
  std::size_t end = 1;
  while (end < text.size() && text[end] != slash) end += text[end] == '\\' ? 2U : 1U;
  if (end >= text.size() || is_alpha(slash) || is_digit(slash)) {
    entry.why = "Postfix cannot read it";
    return;
  }
  entry.key = text.substr(1, end - 1);
  text.remove_prefix(end + 1);
  const std::size_t flags = std::min(text.find_first_of(" \t"), text.size());
  entry.flags = text.substr(0, flags);
  entry.action = trim(text.substr(flags));
}

void read_key(Entry& entry, Type type) {
  std::string_view text = entry.text;
  if (type == Type::cidr && text.starts_with('!')) {
    entry.negated = true;
    text.remove_prefix(1);
    text = trim(text);
  }
  const std::size_t end = std::min(text.find_first_of(" \t"), text.size());
  for (const char c : text.substr(0, end)) entry.key += lower(c);
  entry.action = trim(text.substr(end));
  if (entry.key.starts_with('"')) entry.why = "its key is in quotes";
}

}  // namespace

bool has_text(std::string_view type) {
  return type == "cidr" || std::ranges::find(kIndexed, type) != std::end(kIndexed) ||
         std::ranges::find(kPatterns, type) != std::end(kPatterns);
}

Table table_of(std::string_view text, std::string_view type) {
  const std::vector<Logical> lines = logical_lines(text);
  Table table{.type = type_of(type, lines), .entries = {}};
  std::set<std::string> known;
  int depth = 0;
  for (const Logical& line : lines) {
    Entry entry;
    entry.line = line.line;
    entry.text = line.text;
    if (table.type != Type::indexed && is_block(line.text)) {
      depth += equal_ignoring_case(line.text.substr(0, 2), "if") ? 1 : -1;
      continue;
    }
    table.type == Type::pattern ? read_pattern(entry) : read_key(entry, table.type);
    if (entry.why.empty() && entry.action.empty()) entry.why = "it has no action";
    if (depth > 0) entry.why = "it stands between if and endif";
    entry.again = table.type == Type::indexed && !known.insert(entry.key).second;
    table.entries.push_back(std::move(entry));
  }
  return table;
}

}  // namespace replygate::import::access
