#include "policy/load/key_maps.h"

#include <algorithm>

#include "policy/load/list_source.h"
#include "policy/load/live_source.h"
#include "policy/load/named_fact.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kMostMaps = 4;  // one behind the other

bool is_map_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::ranges::all_of(name, [](char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_'; });
}

}  // namespace

void KeyMaps::define(const Entry& entry) {
  const std::string shown = fmt::format("the map \"{}\"", entry.key);
  const auto [place, added] = places_.try_emplace(entry.key, entry.key_region);
  if (!added) {
    Diagnostic& d =
        context_.error(Rg::defined_twice, entry.key_region, shown + " is defined already", "choose another name");
    d.secondary = Label{place->second, "here"};
    return;
  }
  if (!is_map_name(entry.key) || find_fact(entry.key) != nullptr) {
    context_.error(Rg::not_a_choice, entry.key_region, fmt::format("\"{}\" cannot be the name of a map", entry.key),
                   "it has letters, digits, '-' and '_', and is no fact");
  }
  KeyMap map{.name = entry.key, .table = {}, .live = nullptr, .otherwise = {}};
  const std::size_t before = context_.count();
  if (entry.value.kind == Node::Kind::table) {
    context_.check_keys(entry.value, "map", shown);
    const Entry* otherwise = entry.value.find("default");
    if (otherwise != nullptr && context_.expect(otherwise->value, Node::Kind::string, "default")) {
      map.otherwise = counted_name(otherwise->value.string);
    }
  }
  if (names_live_source(entry.value)) {
    map.live = parse_live_source(context_, entry.value, shown, entry.key);
  } else {
    read_table(entry.value, shown, map);
  }
  const bool wrong = context_.count() != before;
  maps_.emplace(entry.key, wrong ? nullptr : std::make_shared<const KeyMap>(std::move(map)));
}

// "name value", one a line; of a database two columns.
void KeyMaps::read_table(const Node& node, std::string_view shown, KeyMap& map) {
  if (node.kind != Node::Kind::table) {
    context_.error(
        Rg::list_source, node.region, fmt::format("{} does not say where it is", shown),
        "write { file = \"path\" }, { sqlite = \"path\", query = \"select name, value …\" } or \"mysql:/path\"");
    return;
  }
  for (const std::string_view key : {"cache", "timeout"}) report_without_live(context_, node, key);
  const auto source = parse_source(context_, node, shown);
  if (!source) return;
  ListText list = read_list(context_, *source);
  while (const auto item = list.next()) {
    const auto [name, value] = split_item(item->text);
    std::string counted = counted_name(value);
    if (!counted.empty()) {
      map.table.insert_or_assign(counted_name(name), std::move(counted));
      continue;
    }
    context_.error(Rg::list_unreadable, item->region(), fmt::format("\"{}\" counts as nothing", name),
                   "a line of a map is: name value");
    return;
  }
}

std::shared_ptr<const KeyMap> KeyMaps::find(std::string_view name, const Region& at) {
  if (const auto it = maps_.find(name); it != maps_.end()) return it->second;
  std::vector<std::string_view> names;
  for (const auto& [known, map] : maps_) names.push_back(known);
  context_.error(Rg::unknown_list, at, fmt::format("there is no map \"{}\"", name),
                 names.empty() ? "define it under [maps]" : suggestion(name, names, "there is"));
  return nullptr;
}

std::optional<FactRef> KeyMaps::key(std::string_view text, const Region& at) {
  const std::size_t open = text.find('(');
  if (open == std::string_view::npos || !trim(text).ends_with(')')) return named_fact(context_, text, at);
  const std::string_view name = trim(text.substr(0, open));
  std::string_view inner = trim(text.substr(open + 1));
  inner.remove_suffix(1);
  const auto map = find(name, at);
  auto ref = key(trim(inner), at);
  if (map == nullptr || !ref) return std::nullopt;
  ref->maps.push_back(map);
  if (ref->maps.size() <= kMostMaps) return ref;
  context_.error(Rg::unknown_fact, at, fmt::format("\"{}\" goes through more than {} maps", text, kMostMaps),
                 "let one of them do what several do");
  return std::nullopt;
}

}  // namespace replygate
