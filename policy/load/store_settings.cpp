#include "policy/load/store_settings.h"

#include <algorithm>

#include "policy/load/quantities.h"

namespace replygate {
namespace {

using Backend = StoreSettings::Backend;

constexpr std::pair<std::string_view, Backend> kBackends[] = {{"sqlite", Backend::sqlite}, {"memory", Backend::memory}};
constexpr std::pair<std::string_view, StoreSettings::Durability> kDurabilities[] = {
    {"window", StoreSettings::Durability::window}, {"commit", StoreSettings::Durability::commit}};
constexpr std::pair<std::string_view, StoreSettings::Unusable> kUnusable[] = {
    {"stop", StoreSettings::Unusable::stop}, {"memory", StoreSettings::Unusable::memory}};
constexpr std::string_view kSqliteAlone[] = {"path", "durability", "if_unusable"};

void report_keys_of_other_backends(Context& context, const Node& table, Backend backend) {
  if (backend == Backend::sqlite) return;
  for (const std::string_view key : kSqliteAlone) {
    if (const Entry* e = table.find(key)) {
      context.error(Rg::store, e->key_region, fmt::format("{} is of counters on disk", key),
                    "remove it, or write backend = \"sqlite\"");
    }
  }
}

void load_path(Context& context, const Node& table, std::string& path) {
  const Entry* e = table.find("path");
  if (e == nullptr || !context.expect(e->value, Node::Kind::string, "path")) return;
  if (e->value.string.starts_with('/') && !e->value.string.ends_with('/')) {
    path = e->value.string;
  } else {
    context.error(Rg::store, e->value.region, fmt::format("\"{}\" is no absolute path of a file", e->value.string),
                  "write for instance \"/var/lib/replygate/state.db\"");
  }
}

}  // namespace

StoreSettings load_store_settings(Context& context, const Node& table) {
  context.check_keys(table, "store", "[store]");
  StoreSettings store;
  const auto word = [&](std::string_view key, const auto& choices, auto& target) {
    if (const Entry* e = table.find(key)) {
      if (const auto value = choice(context, e->value, key, choices)) target = *value;
    }
  };
  word("backend", kBackends, store.backend);
  word("durability", kDurabilities, store.durability);
  word("if_unusable", kUnusable, store.if_unusable);
  load_path(context, table, store.path);
  read_number(context, table, "max_keys", {1000, 1'000'000'000, "1000", "1000000000"}, store.max_keys);
  read_duration(context, table, "reservation_timeout", {60, 86400, "\"1m\"", "\"1d\""}, store.reservation_timeout);
  report_keys_of_other_backends(context, table, store.backend);
  return store;
}

}  // namespace replygate
