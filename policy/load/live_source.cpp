#include "policy/load/live_source.h"

#include <algorithm>

#include "policy/load/lookup_table.h"
#include "policy/load/quantities.h"
#include "policy/load/socket.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using LiveKind = LiveSource::Kind;

constexpr LiveKind kLiveKinds[] = {LiveKind::socketmap, LiveKind::mysql, LiveKind::pgsql, LiveKind::ldap};
constexpr std::string_view kProxy = "proxy:";  // Postfix's way to share a table among its processes

struct LiveName {
  LiveKind kind;
  std::string_view where;
};

// "mysql:/path", also behind "proxy:".
std::optional<LiveName> live_name(std::string_view text) {
  if (text.starts_with(kProxy)) text.remove_prefix(kProxy.size());
  for (const LiveKind kind : kLiveKinds) {
    const std::string_view word = to_string(kind);
    if (text.starts_with(word) && text.substr(word.size()).starts_with(':')) {
      return LiveName{kind, text.substr(word.size() + 1)};
    }
  }
  return std::nullopt;
}

const Entry* live_entry(const Node& table, LiveKind& kind) {
  for (const LiveKind k : kLiveKinds) {
    kind = k;
    if (const Entry* entry = table.find(to_string(k))) return entry;
  }
  return nullptr;
}

// "inet:host:port" as a server is written elsewhere; "" where it is none.
std::string server_of(std::string_view text) {
  constexpr std::string_view kInet = "inet:";
  if (!text.starts_with(kInet)) return std::string(text);
  text.remove_prefix(kInet.size());
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return "";
  const std::string_view host = text.substr(0, colon);
  return fmt::format("{}:{}@{}", host.starts_with('[') ? "inet6" : "inet", text.substr(colon + 1), host);
}

class LiveReader {
 public:
  LiveReader(Context& context, LiveSource& source) : context_(context), source_(source) {}

  bool read(std::string_view where, const Node& node) {
    return source_.kind == LiveKind::socketmap ? socketmap(where, node) : described(where, node);
  }

 private:
  bool socketmap(std::string_view where, const Node& node) {
    const std::size_t colon = where.rfind(':');
    const std::string server = server_of(where.substr(0, colon));
    const auto address = SocketAddress::parse_server(server);
    if (colon != std::string_view::npos && colon + 1 < where.size() && address) {
      source_.server = server;
      source_.table = where.substr(colon + 1);
      return true;
    }
    context_.error(
        Rg::live_source, node.region, fmt::format("\"{}\" is no map behind a socket", where),
        "write \"socketmap:inet:127.0.0.1:2000:name\" or \"socketmap:unix:/path:name\", as socketmap_table(5)");
    return false;
  }

  bool described(std::string_view path, const Node& node) {
    source_.table = path;
    std::string why;
    const std::string* text = context_.read_list({DataSource::Kind::lookup_table, source_.table, ""}, why);
    if (text == nullptr) {
      context_.error(Rg::list_unreadable, node.region, fmt::format("{}: {}", path, why),
                     "the user of the daemon must be able to read it");
      return false;
    }
    described_at_ = source_.table;
    source_.table = context_.full_path(described_at_);
    const std::size_t before = context_.count();
    const auto parameters = parse_lookup_table(*text);
    for (const TableParameter& parameter : parameters) check(parameter);
    complete(parameters, node);
    return context_.count() == before;
  }

  void check(const TableParameter& p) {
    Region at{.file = described_at_, .line = p.line, .column = 1, .end_line = p.line};
    at.end_column =
        static_cast<unsigned>(std::max<std::size_t>(1, p.name.empty() ? p.value.size() : p.name.size())) + 1;
    if (p.name.empty()) {
      context_.error(Rg::live_source, at, "the line is neither \"name = value\" nor a comment",
                     "comments begin with '#'");
      return;
    }
    switch (table_key(source_.kind, p.name)) {
      case TableKey::used: return check_value(p, at);
      case TableKey::idle: return;
      case TableKey::unsupported:
        context_.error(Rg::live_source, at, fmt::format("{} is not supported", p.name),
                       "without it the answer would be another one; write a description of its own for replygate");
        return;
      case TableKey::unknown:
        context_.error(Rg::live_source, at,
                       fmt::format("{} tables have no parameter \"{}\"", to_string(source_.kind), p.name),
                       suggestion(p.name, table_keys(source_.kind), "they have"));
        return;
    }
  }

  void check_value(const TableParameter& p, const Region& at) {
    constexpr std::string_view kCounts[] = {"expansion_limit", "size_limit", "server_port", "timeout", "version"};
    const bool count = std::ranges::find(kCounts, p.name) != std::end(kCounts);
    if (count && !parse_count(p.value)) {
      context_.error(Rg::live_source, at, fmt::format("{} is a number, not \"{}\"", p.name, p.value), "");
    }
    constexpr std::string_view kFormats[] = {"query", "additional_conditions", "query_filter", "search_base",
                                             "result_format"};
    const bool format = std::ranges::find(kFormats, p.name) != std::end(kFormats);
    if (const std::string unknown = unknown_placeholder(p.value); format && !unknown.empty()) {
      context_.error(Rg::live_source, at, fmt::format("\"{}\" in {} stands for nothing", unknown, p.name),
                     "write %s, %u, %d or %1 to %9 for the key or a part of it, %% for a percent sign");
    }
    if (p.name == "domain" && p.value.find(':') != std::string::npos) {
      context_.error(Rg::live_source, at, "domain names domains alone",
                     "tables in it are not supported; list the domains");
    }
    if (p.name == "bind" && p.value != "yes" && p.value != "no" && p.value != "none" && p.value != "simple") {
      context_.error(Rg::live_source, at, fmt::format("bind = {} is not supported", p.value), "write yes or no");
    }
  }

  void complete(const std::vector<TableParameter>& parameters, const Node& node) {
    const bool ldap = source_.kind == LiveKind::ldap;
    const auto want = [&](bool there, std::string_view what) {
      if (there) return;
      context_.error(Rg::live_source, node.region, fmt::format("{} does not say {}", described_at_, what),
                     fmt::format("see {}_table(5)", to_string(source_.kind)));
    };
    if (ldap) return want(!table_value(parameters, "search_base").empty(), "search_base");
    want(!table_value(parameters, "dbname").empty(), "dbname");
    want(!table_query(parameters).empty(), "query");
  }

  Context& context_;
  LiveSource& source_;
  std::string described_at_;  // as the policy names it
};

}  // namespace

bool names_live_source(const Node& node) {
  LiveKind kind{};
  if (node.kind == Node::Kind::table) return live_entry(node, kind) != nullptr;
  return node.kind == Node::Kind::string && live_name(node.string).has_value();
}

void report_without_live(Context& context, const Node& table, std::string_view key) {
  const Entry* e = table.find(key);
  if (e == nullptr) return;
  context.error(Rg::live_source, e->key_region,
                fmt::format("{} is for sources that are asked while mail comes, and this one is read as a whole", key),
                fmt::format("remove {}: it is read again when it changes", key));
}

LiveSourcePtr parse_live_source(Context& context, const Node& node, std::string_view shown, std::string name) {
  LiveSource source;
  source.name = std::move(name);
  const Node* where = &node;
  if (node.kind == Node::Kind::table) {
    const Entry* entry = live_entry(node, source.kind);
    for (const std::string_view other : {"file", "sqlite", "query"}) {
      if (const Entry* e = node.find(other)) {
        context.error(Rg::live_source, e->key_region, fmt::format("{} has {} and {}", shown, entry->key, other),
                      "a source is one of them");
        return nullptr;
      }
    }
    read_duration(context, node, "cache", {1000, 86'400'000, "\"1s\"", "\"1d\""}, source.cache);
    read_duration(context, node, "timeout", {100, 20'000, "\"100ms\"", "\"20s\""}, source.timeout);
    if (!context.expect(entry->value, Node::Kind::string, entry->key)) return nullptr;
    where = &entry->value;
  }
  std::string_view text = where->string;
  if (const auto named = live_name(text); named && (where == &node || named->kind == source.kind)) {
    source.kind = named->kind;
    text = named->where;
  }
  // A test calls it as the policy does, wherever the policy lies.
  const std::string written = fmt::format("{}:{}", to_string(source.kind), text);
  if (!LiveReader(context, source).read(text, *where)) return nullptr;
  if (source.name.empty()) source.name = written;
  source.id = fmt::format("{} {} {}", source.text(), source.cache.count(), source.timeout.count());
  return std::make_shared<const LiveSource>(std::move(source));
}

}  // namespace replygate
