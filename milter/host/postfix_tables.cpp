#include "milter/host/postfix_tables.h"

#include <algorithm>
#include <array>

#include "milter/files.h"
#include "milter/host/postfix_text.h"
#include "milter/host/program.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 6> kIndexed = {"hash", "btree", "lmdb", "cdb", "dbm", "sdbm"};
constexpr std::array<std::string_view, 4> kPlain = {"cidr", "pcre", "regexp", "texthash"};

struct TableName {
  std::string type;
  std::string rest;
};

TableName table_name(std::string_view table) {
  if (table.starts_with("proxy:")) table.remove_prefix(6);
  const std::size_t colon = std::min(table.find(':'), table.size());
  return {std::string(table.substr(0, colon)), std::string(table.substr(std::min(colon + 1, table.size())))};
}

// "key value": a key in slashes ends with them and its flags.
void add_entry(std::string_view line, PostfixTables::Entries& entries) {
  line = trim(line);
  if (line.empty() || line.front() == '#' || line == "endif") return;
  std::size_t end = line.front() == '/' ? line.find('/', 1) : 0;
  while (end != std::string_view::npos && end > 0 && line[end - 1] == '\\') end = line.find('/', end + 1);
  end = std::min(line.find_first_of(" \t", std::min(end, line.size())), line.size());
  entries.emplace_back(line.substr(0, end), trim(line.substr(end)));
}

PostfixTables::Entries lines_as_entries(const std::string& text) {
  std::vector<std::string> logical;  // a line that begins with a blank goes on with the one before
  for (const std::string& line : lines_of(text)) {
    const bool blank = trim(line).empty() || trim(line).front() == '#';
    const bool goes_on = !blank && !logical.empty() && (line.front() == ' ' || line.front() == '\t');
    if (goes_on) {
      logical.back() += line;
    } else if (!blank) {
      logical.push_back(line);
    }
  }
  PostfixTables::Entries entries;
  for (const std::string& line : logical) add_entry(line, entries);
  return entries;
}

// "{ {key = value}, key=value }"
PostfixTables::Entries inline_entries(std::string_view text) {
  PostfixTables::Entries entries;
  for (const std::string& word : postfix_words(without_braces(text))) {
    const std::string_view pair = without_braces(word);
    const std::size_t equals = std::min(pair.find('='), pair.size());
    entries.emplace_back(trim(pair.substr(0, equals)), trim(pair.substr(std::min(equals + 1, pair.size()))));
  }
  return entries;
}

std::optional<ProgramResult> postmap(const std::string& folder, const std::vector<std::string>& words) {
  std::vector<std::string> all = {"postmap"};
  if (!folder.empty()) all.insert(all.end(), {"-c", folder});
  all.insert(all.end(), words.begin(), words.end());
  auto result = run_program(all, Messages::kept);
  const bool failed = result && result->messages.find("fatal:") != std::string::npos;
  return failed ? std::nullopt : result;
}

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

std::optional<std::string> PostfixTables::look_up(std::string_view table, const std::vector<std::string>& keys) const {
  const TableName name = table_name(table);
  if (name.type == "static") return std::string(without_braces(name.rest));
  for (const std::string& key : keys) {
    const auto answer = postmap(folder_, {"-q", key, std::string(table)});
    if (!answer) return std::nullopt;
    if (answer->status == 0) return std::string(trim(answer->output));
  }
  return std::string();
}

std::optional<PostfixTables::Entries> PostfixTables::entries(std::string_view table) const {
  const TableName name = table_name(table);
  if (name.type == "static") return Entries{{"", std::string(without_braces(name.rest))}};
  if (name.type == "inline") return inline_entries(name.rest);
  std::string why;
  if (among(kPlain, name.type)) {
    const auto text = read_file(name.rest, why);
    return text ? std::optional(lines_as_entries(*text)) : std::nullopt;
  }
  if (!among(kIndexed, name.type)) return std::nullopt;
  const auto listed = postmap(folder_, {"-s", name.type + ":" + name.rest});
  return listed ? std::optional(lines_as_entries(listed->output)) : std::nullopt;
}

}  // namespace replygate
