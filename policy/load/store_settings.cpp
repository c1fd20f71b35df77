#include "policy/load/store_settings.h"

#include <algorithm>
#include <vector>

#include "policy/load/items.h"
#include "policy/load/quantities.h"
#include "policy/load/socket.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Backend = StoreSettings::Backend;

constexpr std::pair<std::string_view, Backend> kBackends[] = {
    {"sqlite", Backend::sqlite}, {"redis", Backend::redis}, {"memory", Backend::memory}};
constexpr std::pair<std::string_view, StoreSettings::Durability> kDurabilities[] = {
    {"window", StoreSettings::Durability::window}, {"commit", StoreSettings::Durability::commit}};
constexpr std::pair<std::string_view, StoreSettings::Unusable> kUnusable[] = {
    {"stop", StoreSettings::Unusable::stop}, {"memory", StoreSettings::Unusable::memory}};

// Keys that one backend alone has.
struct OwnKeys {
  Backend backend;
  std::string_view name;
  std::vector<std::string_view> keys;
};
const OwnKeys kOwnKeys[] = {
    {Backend::sqlite, "sqlite", {"path", "durability", "if_unusable"}},
    {Backend::redis,
     "redis",
     {"servers", "user", "password_file", "tls", "ca_file", "prefix", "timeout", "connections", "wait_replicas",
      "hosts"}},
};

class StoreLoader {
 public:
  StoreLoader(Context& context, const Node& table) : context_(context), table_(table) {}

  StoreSettings load() {
    context_.check_keys(table_, "store", "[store]");
    word("backend", kBackends, store_.backend);
    word("durability", kDurabilities, store_.durability);
    word("if_unusable", kUnusable, store_.if_unusable);
    path("path", "/var/lib/replygate/state.db", store_.path);
    read_number(context_, table_, "max_keys", {1000, 1'000'000'000, "1000", "1000000000"}, store_.max_keys);
    read_duration(context_, table_, "reservation_timeout", {60'000, 86'400'000, "\"1m\"", "\"1d\""},
                  store_.reservation_timeout);
    servers();
    text("user", store_.user);
    path("password_file", "/etc/replygate/redis-password", store_.password_file);
    if (const Entry* e = table_.find("tls"); e != nullptr && context_.expect(e->value, Node::Kind::boolean, "tls")) {
      store_.tls = e->value.boolean;
    }
    path("ca_file", "/etc/ssl/certs/redis-ca.pem", store_.ca_file);
    prefix();
    read_duration(context_, table_, "timeout", {5, 5000, "\"5ms\"", "\"5s\""}, store_.timeout);
    read_number(context_, table_, "connections", {1, 32, "1", "32"}, store_.connections);
    read_number(context_, table_, "wait_replicas", {0, 16, "0", "16"}, store_.wait_replicas);
    read_number(context_, table_, "hosts", {1, 1000, "1", "1000"}, store_.hosts);
    check_together();
    return store_;
  }

 private:
  template <typename T, std::size_t N>
  void word(std::string_view key, const std::pair<std::string_view, T> (&choices)[N], T& target) {
    if (const Entry* e = table_.find(key)) {
      if (const auto value = choice(context_, e->value, key, choices)) target = *value;
    }
  }

  void text(std::string_view key, std::string& target) {
    const Entry* e = table_.find(key);
    if (e != nullptr && context_.expect(e->value, Node::Kind::string, key)) target = e->value.string;
  }

  void path(std::string_view key, std::string_view example, std::string& target) {
    const Entry* e = table_.find(key);
    if (e == nullptr || !context_.expect(e->value, Node::Kind::string, key)) return;
    if (e->value.string.starts_with('/') && !e->value.string.ends_with('/')) {
      target = e->value.string;
    } else {
      context_.error(Rg::store, e->value.region,
                     fmt::format("\"{}\" is not an absolute path of a file", e->value.string),
                     fmt::format("write for instance \"{}\"", example));
    }
  }

  void prefix() {
    text("prefix", store_.prefix);
    const auto good = [](char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.'; };
    if (!store_.prefix.empty() && store_.prefix.size() <= 64 && std::ranges::all_of(store_.prefix, good)) return;
    context_.error(Rg::store, table_.find("prefix")->value.region,
                   "a prefix has 1 to 64 letters, digits, '-', '_' or '.'",
                   "hosts with the same prefix share their counters");
  }

  void servers() {
    const Entry* e = table_.find("servers");
    if (e != nullptr) each_item(e->value, [this](const Node& item) { server(item); });
  }

  void server(const Node& node) {
    if (!context_.expect(node, Node::Kind::string, "servers")) return;
    if (const auto address = SocketAddress::parse_server(node.string)) {
      store_.servers.push_back(address->text());
    } else {
      const std::string meant = meant_socket(node.string);
      context_.error(Rg::socket_address, node.region, fmt::format("\"{}\" is not an address of a server", node.string),
                     meant.empty()
                         ? "write \"inet:6379@redis.example.org\", \"inet6:6379@[2001:db8::1]\" or \"unix:/path\""
                         : fmt::format("write \"{}\"", meant));
    }
  }

  void check_together() {
    for (const OwnKeys& own : kOwnKeys) {
      if (own.backend == store_.backend) continue;
      for (const std::string_view key : own.keys) {
        const Entry* e = table_.find(key);
        if (e == nullptr) continue;
        context_.error(Rg::store, e->key_region, fmt::format("{} is for another backend", key),
                       fmt::format("remove it, or write backend = \"{}\"", own.name));
      }
    }
    if (store_.backend == Backend::redis && table_.find("servers") == nullptr) {
      context_.error(Rg::store, table_.find("backend")->value.region, "nothing says where the servers are",
                     "add for instance servers = [\"inet:6379@redis.example.org\"]");
    }
    if (const Entry* e = table_.find("ca_file"); e != nullptr && !store_.tls) {
      context_.error(Rg::store, e->key_region, "ca_file has no meaning without TLS", "add tls = true");
    }
    if (const Entry* e = table_.find("user"); e != nullptr && store_.password_file.empty()) {
      context_.error(Rg::store, e->key_region, "a user logs in with a password", "add password_file = \"/path\"");
    }
  }

  Context& context_;
  const Node& table_;
  StoreSettings store_;
};

}  // namespace

StoreSettings load_store_settings(Context& context, const Node& table) { return StoreLoader(context, table).load(); }

}  // namespace replygate
