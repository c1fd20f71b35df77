#include "policy/load/patterns.h"

#include <algorithm>
#include <array>

#include "policy/load/live_source.h"
#include "policy/load/meant.h"
#include "policy/load/meant_pattern.h"
#include "policy/load/number_pattern.h"
#include "policy/load/pattern_signs.h"
#include "policy/mail/domain.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

// A string, or the strings of an array.
std::vector<const Node*> strings_of(Context& context, const Node& node, std::string_view what) {
  std::vector<const Node*> result;
  if (node.kind != Node::Kind::array) {
    if (context.expect(node, Node::Kind::string, what)) result.push_back(&node);
    return result;
  }
  for (const Node& item : node.items) {
    if (context.expect(item, Node::Kind::string, what)) result.push_back(&item);
  }
  return result;
}

// What to write for a network that is none.
std::string network_help(std::string_view text) {
  constexpr std::array<std::string_view, 5> kEverybody = {"any", "all", "everyone", "everybody", "*"};
  if (std::ranges::find(kEverybody, text) != kEverybody.end()) {
    return "remove client_ip: without it a rule holds for every client";
  }
  if (text.starts_with("!$")) return fmt::format("write unless = {{ client_ip = \"{}\" }}", text.substr(1));
  if (std::string foreign = foreign_pattern_help(text); !foreign.empty()) return foreign;
  if (const std::string meant = meant_network(text); !meant.empty()) return fmt::format("write \"{}\"", meant);
  if (text.starts_with('!') && IpNetwork::parse(trim(text.substr(1)))) {
    return fmt::format("write unless = {{ client_ip = \"{}\" }}", trim(text.substr(1)));
  }
  if (text == "localhost") return "write \"127.0.0.1\" and \"::1\"";
  if (const bool name = text.find('.') != std::string_view::npos && canonical_domain(text);
      name && !is_digit(text.back())) {
    return fmt::format("names are compared with client_name: client_name = \"{}\"", text);
  }
  const auto parts = parts_meant(text);
  if (parts.empty() ||
      !std::ranges::all_of(parts, [](std::string_view part) { return IpNetwork::parse(part).has_value(); })) {
    return "write for instance \"192.0.2.7\", \"192.0.2.0/24\" or \"2001:db8::/32\"";
  }
  return "write " + array_of(parts);
}

// A lengthy list grows in one go: pages that it leaves empty cost nothing.
std::size_t room_for(const ListText& list) {
  constexpr std::size_t kLengthy = std::size_t{1} << 20U;
  return list.octets() >= kLengthy ? list.octets() : 0;
}

bool is_of_site(std::string_view list) {
  return list == "local_domains" || list == "relay_domains" || list == "trusted_networks";
}

}  // namespace

void Patterns::define(const Entry& entry) {
  List list{.region = entry.key_region, .items = {}, .text = {}, .unread = false};
  if (entry.value.kind == Node::Kind::table || entry.value.kind == Node::Kind::string) {
    const std::string shown = fmt::format("the list \"{}\"", entry.key);
    if (entry.value.kind == Node::Kind::table) context_.check_keys(entry.value, "list", shown);
    if (names_live_source(entry.value)) {
      list.live = parse_live_source(context_, entry.value, shown, entry.key);
      list.unread = list.live == nullptr;
      lists_.insert_or_assign(entry.key, std::move(list));
      return;
    }
    for (const std::string_view key : {"cache", "timeout"}) report_without_live(context_, entry.value, key);
    const auto source = parse_source(context_, entry.value, shown);
    const std::size_t before = context_.count();
    if (source) list.text = read_list(context_, *source);
    list.unread = !source || context_.count() != before;
  } else {
    for (const Node* node : strings_of(context_, entry.value, "an entry of a list")) {
      if (node->string.starts_with('$')) {
        context_.error(Rg::pattern_type, node->region, "a list cannot name another list",
                       "name both lists in the rule: an array means any of them");
      } else {
        list.items.push_back({.text = node->string, .node = node});
      }
    }
  }
  lists_.insert_or_assign(entry.key, std::move(list));
}

const Patterns::List* Patterns::find(std::string_view name, const Region& at) {
  const auto it = lists_.find(name);
  if (it != lists_.end()) {
    // What [site] leaves empty is a fact of the site.
    const bool read = it->second.region.line > 0 && !it->second.unread && it->second.live == nullptr;
    if (read && it->second.empty() && !is_of_site(name)) {
      context_.warning(Rg::empty_list, at, fmt::format("the list \"{}\" has no entries, so this never holds", name));
    }
    return &it->second;
  }
  std::vector<std::string_view> names;
  for (const auto& [known, list] : lists_) names.push_back(known);
  context_.error(Rg::unknown_list, at, fmt::format("there is no list \"{}\"", name),
                 names.empty() ? "define it under [lists]" : suggestion(name, names, "there is"));
  return nullptr;
}

// True where the list is asked while mail comes, and need not be read here.
bool Patterns::takes_live(const List& list, const Node& named, std::vector<LiveSourcePtr>* live) {
  if (list.live == nullptr) return false;
  if (live == nullptr) {
    context_.error(
        Rg::live_list, named.region,
        fmt::format("\"{}\" is asked while mail comes, and here a list must be known as a whole", named.string),
        "name a list in the policy, in a file or in SQLite");
  } else if (std::ranges::find(*live, list.live) == live->end()) {
    live->push_back(list.live);
  }
  return true;
}

std::shared_ptr<const TextSet> Patterns::texts(std::string_view name, const Subject& subject) {
  auto& compiled = texts_[{std::string(name), subject}];
  if (compiled == nullptr) {
    auto set = std::make_shared<TextSet>();
    if (const auto it = lists_.find(name); it != lists_.end()) {
      set->reserve(room_for(it->second.text));
      it->second.each([&](const ListItem& item) { text_.add(*set, subject, item); });
    }
    compiled = std::move(set);
  }
  return compiled;
}

std::shared_ptr<const NetworkSet> Patterns::networks(std::string_view name) {
  auto& compiled = networks_[std::string(name)];
  if (compiled == nullptr) {
    auto set = std::make_shared<NetworkSet>();
    if (const auto it = lists_.find(name); it != lists_.end()) {
      it->second.each([&](const ListItem& item) { add_network(*set, item); });
    }
    set->seal();
    compiled = std::move(set);
  }
  return compiled;
}

// The pattern with the entries of lists in the place of their names.
Node Patterns::with_lists(const Node& pattern) {
  Node all{.kind = Node::Kind::array, .region = pattern.region};
  const auto add = [&](const Node& item) {
    const bool list = item.kind == Node::Kind::string && item.string.starts_with('$');
    if (!list) return all.items.push_back(item);
    const List* found = find(std::string_view(item.string).substr(1), item.region);
    if (found == nullptr || takes_live(*found, item, nullptr)) return;
    found->each([&](const ListItem& entry) {
      all.items.push_back({.kind = Node::Kind::string, .region = entry.region(), .string = std::string(entry.text)});
    });
  };
  if (pattern.kind == Node::Kind::array) {
    std::ranges::for_each(pattern.items, add);
  } else {
    add(pattern);
  }
  return all;
}

// A list that stands alone is shared by all that name it.
std::shared_ptr<const NetworkSet> Patterns::networks_of(std::string_view fact, const std::vector<const Node*>& patterns,
                                                        std::vector<LiveSourcePtr>* live) {
  auto set = std::make_shared<NetworkSet>();
  for (const Node* node : patterns) {
    const bool list = node->string.starts_with('$');
    if (!list) {
      add_network(*set, {.text = node->string, .node = node});
    } else if (const List* found = find(node->string.substr(1), node->region); found != nullptr) {
      if (takes_live(*found, *node, live)) continue;
      const Context::Beside beside(context_, {node->region, fmt::format("{} is compared with it", fact)});
      auto named = networks(node->string.substr(1));
      if (patterns.size() == 1) return named;
      set->add_all(*named);
    }
  }
  set->seal();
  return set;
}

std::optional<Matcher> Patterns::compile(const Subject& subject, std::string_view fact, const Node& pattern,
                                         std::vector<LiveSourcePtr>* live) {
  if (pattern.kind == Node::Kind::array && pattern.items.empty()) {
    context_.warning(Rg::empty_list, pattern.region,
                     fmt::format("{} is compared with nothing, so this never holds", fact),
                     "name values, or remove the condition");
  }
  switch (subject.kind) {
    case FactKind::boolean:
      if (!context_.expect(pattern, Node::Kind::boolean, fact)) return std::nullopt;
      return Matcher(pattern.boolean);
    case FactKind::count:
    case FactKind::size:
    case FactKind::percent:
    case FactKind::duration:
    case FactKind::clock:
    case FactKind::weekday: return Matcher(number_pattern(context_, subject.kind, fact, with_lists(pattern)));
    case FactKind::ip: return Matcher(networks_of(fact, strings_of(context_, pattern, fact), live));
    default: break;
  }
  auto set = std::make_shared<TextSet>();
  for (const Node* node : strings_of(context_, pattern, fact)) {
    if (!node->string.starts_with('$')) {
      text_.add(*set, subject, {.text = node->string, .node = node});
    } else if (const List* found = find(node->string.substr(1), node->region); found != nullptr) {
      if (takes_live(*found, *node, live)) continue;
      const Context::Beside beside(context_, {node->region, fmt::format("{} is compared with it", fact)});
      set->add_set(texts(node->string.substr(1), subject));
    }
  }
  return Matcher(std::shared_ptr<const TextSet>(std::move(set)));
}

std::shared_ptr<const TextSet> Patterns::text_pattern(const std::string& text, const Region& at,
                                                      const Subject& subject) {
  if (text.starts_with('$')) {
    const List* found = find(text.substr(1), at);
    const Node named{.kind = Node::Kind::string, .region = at, .string = text};
    return found == nullptr || takes_live(*found, named, nullptr) ? nullptr : texts(text.substr(1), subject);
  }
  auto set = std::make_shared<TextSet>();
  const Node node{.kind = Node::Kind::string, .region = at, .string = text};
  text_.add(*set, subject, {.text = node.string, .node = &node});
  return set;
}

std::optional<std::string> Patterns::glob(const std::string& text, const Region& at, const Subject& subject) {
  const Node node{.kind = Node::Kind::string, .region = at, .string = text};
  return text_.glob(subject, {.text = node.string, .node = &node});
}

std::string Patterns::first_domain(std::string_view list) const {
  const auto it = lists_.find(list);
  if (it == lists_.end()) return "";
  std::optional<std::string> first;
  it->second.any_of([&](const ListItem& item) {
    if (!is_pattern(item.text)) first = canonical_domain(item.text);
    return first.has_value();
  });
  return first.value_or("");
}

void Patterns::add_network(NetworkSet& set, const ListItem& item) {
  const auto network = IpNetwork::parse(item.text);
  if (!network) {
    context_.error(Rg::network, item.region(), fmt::format("\"{}\" is neither an address nor a network", item.text),
                   network_help(item.text));
  } else if (network->has_host_bits()) {
    context_.error(Rg::host_bits, item.region(), fmt::format("\"{}\" has bits set behind its prefix length", item.text),
                   fmt::format("the network is \"{}\"; for the one address omit the prefix", network->text()));
  } else {
    set.add(*network);
  }
}

}  // namespace replygate
