#include "policy/load/list_source.h"

#include <algorithm>

#include "policy/load/meant.h"
#include "policy/mail/ip.h"
#include "policy/mail/list_text.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

using Kind = DataSource::Kind;

constexpr std::pair<std::string_view, Kind> kMaps[] = {
    {"texthash:", Kind::file}, {"cdb:", Kind::cdb}, {"lmdb:", Kind::lmdb}};

std::optional<NamedSource> parse_map(Context& context, const Node& node) {
  for (const auto& [prefix, kind] : kMaps) {
    if (!node.string.starts_with(prefix)) continue;
    std::string path = node.string.substr(prefix.size());
    // As Postfix names the file behind a map.
    if (kind == Kind::cdb) path += ".cdb";
    if (kind == Kind::lmdb) path += ".lmdb";
    return NamedSource{{kind, std::move(path), ""}, true, &node};
  }
  const bool file = node.string.starts_with("file:/") || node.string.starts_with('/');
  if (file) {
    context.error(Rg::list_source, node.region, fmt::format("\"{}\" is not a list", node.string),
                  fmt::format("write {{ file = \"{}\" }}", node.string.substr(node.string.find('/'))));
    return std::nullopt;
  }
  context.error(
      Rg::list_source, node.region, fmt::format("\"{}\" is not a list", node.string),
      node.string.find(':') != std::string::npos
          ? "tables of Postfix can be texthash, cdb, lmdb, socketmap, mysql, pgsql and ldap: \"texthash:/path\""
          : "write " + array_of(parts_meant(node.string)));
  return std::nullopt;
}

// The key of a line of a map: in text Postfix takes a line that begins with a blank for one that goes on, '#' for a
// comment at the beginning alone, and quotes around a key that has blanks in it (postmap(1)).
std::string_view key_of_map(std::string_view line, bool text) {
  if (text && !line.empty() && (is_blank(line.front()) || line.front() == '#')) return {};
  line = trim(line);
  if (!text || !line.starts_with('"')) return line.substr(0, line.find_first_of(" \t"));
  const std::size_t end = line.find("\" ", 1);
  return end == std::string_view::npos ? line.substr(0, line.find_first_of(" \t")) : line.substr(1, end - 1);
}

constexpr std::pair<std::string_view, Only> kOnly[] = {{"networks", Only::networks}, {"names", Only::names}};

bool belongs(std::string_view entry, Only only) {
  return only == Only::all || IpNetwork::parse(entry).has_value() == (only == Only::networks);
}

// True, with an error, for what another program has written in another way.
bool is_misread(Context& context, const ListItem& item) {
  if (!is_utf8(item.text)) {
    context.error(Rg::list_unreadable, item.region(), "the line is not UTF-8", "save the list as UTF-8");
  } else if (item.text.find("\xef\xbb\xbf") != std::string_view::npos) {
    context.error(Rg::list_unreadable, item.region(), "the line has a byte-order mark in it",
                  "it comes of files that were joined; remove it");
  } else {
    return false;
  }
  return true;
}

// One error is enough: the list ends there.
void end_at_misread(Context& context, ListText& list) {
  ListText ahead = list;
  while (const auto item = ahead.next()) {
    if (is_misread(context, *item)) return list.end_where(ahead);
  }
}

}  // namespace

Region ListItem::region() const {
  if (node != nullptr) return node->region;
  return {
      .file = *file, .line = line, .column = 1, .end_line = line, .end_column = static_cast<unsigned>(text.size()) + 1};
}

std::optional<NamedSource> parse_source(Context& context, const Node& node, std::string_view shown) {
  if (node.kind == Node::Kind::string) return parse_map(context, node);
  const Entry* file = node.find("file");
  const Entry* sqlite = node.find("sqlite");
  const Entry* query = node.find("query");
  if ((file != nullptr) == (sqlite != nullptr)) {
    context.error(Rg::missing_key, node.region, fmt::format("{} does not say where it is", shown),
                  "write { file = \"path\" } or { sqlite = \"path\", query = \"select …\" }");
    return std::nullopt;
  }
  if ((sqlite != nullptr) != (query != nullptr)) {
    context.error(Rg::missing_key, node.region, "sqlite and query go together",
                  "write { sqlite = \"path\", query = \"select …\" }");
    return std::nullopt;
  }
  const Entry& where = file != nullptr ? *file : *sqlite;
  if (!context.expect(where.value, Node::Kind::string, where.key)) return std::nullopt;
  const Entry* kind = node.find("only");
  const auto only = kind == nullptr ? std::optional(Only::all) : choice(context, kind->value, "only", kOnly);
  if (!only) return std::nullopt;
  if (query == nullptr) return NamedSource{{Kind::file, where.value.string, ""}, false, &where.value, *only};
  if (!context.expect(query->value, Node::Kind::string, "query")) return std::nullopt;
  return NamedSource{{Kind::sqlite, where.value.string, query->value.string}, false, &where.value, *only};
}

std::optional<ListItem> ListText::next() {
  while (!rest_.empty()) {
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    ++line_;
    line = map_ ? key_of_map(line, file_) : file_ ? without_comment(line) : trim(line);
    if (!line.empty() && belongs(line, only_)) return ListItem{.text = line, .file = name_, .line = line_};
  }
  return std::nullopt;
}

ListText read_list(Context& context, const NamedSource& named) {
  std::string why;
  const std::string* text = context.read_list(named.source, why);
  if (text == nullptr) {
    context.error(Rg::list_unreadable, named.node->region, fmt::format("{}: {}", named.source.path, why),
                  named.source.kind == DataSource::Kind::file && !named.source.path.starts_with('/')
                      ? "relative paths are taken from the folder of the policy"
                      : "");
    return {};
  }
  if (is_utf16(*text)) {
    context.error(Rg::list_unreadable, named.node->region, fmt::format("{} is UTF-16", named.source.path),
                  "save it as UTF-8");
    return {};
  }
  const bool file = named.source.kind == DataSource::Kind::file;
  ListText list(file ? without_byte_order_mark(*text) : std::string_view(*text), named,
                context.keep(named.source.text()));
  if (!is_ascii_text(*text)) end_at_misread(context, list);
  return list;
}

std::pair<std::string_view, std::string_view> split_item(std::string_view text) {
  std::size_t end = 0;
  for (bool quoted = false; end < text.size() && (quoted || !is_blank(text[end])); ++end) {
    if (text[end] == '"') quoted = !quoted;
    if (text[end] == '\\' && quoted) ++end;
  }
  end = std::min(end, text.size());
  return {text.substr(0, end), trim(text.substr(end))};
}

}  // namespace replygate
