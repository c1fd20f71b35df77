#include "policy/load/patterns.h"

#include <algorithm>

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

}  // namespace

void Patterns::define(const Entry& entry) {
  List list{.region = entry.key_region, .items = {}};
  if (entry.value.kind == Node::Kind::table || entry.value.kind == Node::Kind::string) {
    const std::string shown = fmt::format("the list \"{}\"", entry.key);
    if (entry.value.kind == Node::Kind::table) context_.check_keys(entry.value, "list", shown);
    if (const auto source = parse_source(context_, entry.value, shown)) list.items = read_items(context_, *source);
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
    if (it->second.items.empty() && it->second.region.line > 0) {
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

std::shared_ptr<const TextSet> Patterns::texts(std::string_view name, const Subject& subject) {
  auto& compiled = texts_[{std::string(name), subject}];
  if (compiled == nullptr) {
    auto set = std::make_shared<TextSet>();
    if (const auto it = lists_.find(name); it != lists_.end()) {
      for (const ListItem& item : it->second.items) text_.add(*set, subject, item);
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
      for (const ListItem& item : it->second.items) add_network(*set, item);
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
    if (found == nullptr) return;
    for (const ListItem& entry : found->items) {
      all.items.push_back({.kind = Node::Kind::string, .region = entry.region(), .string = std::string(entry.text)});
    }
  };
  if (pattern.kind == Node::Kind::array) {
    std::ranges::for_each(pattern.items, add);
  } else {
    add(pattern);
  }
  return all;
}

std::optional<Matcher> Patterns::compile(const Subject& subject, std::string_view fact, const Node& pattern) {
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
    case FactKind::ip: {
      auto set = std::make_shared<NetworkSet>();
      for (const Node* node : strings_of(context_, pattern, fact)) {
        if (!node->string.starts_with('$')) {
          add_network(*set, {.text = node->string, .node = node});
        } else if (find(node->string.substr(1), node->region) != nullptr) {
          set->add_all(*networks(node->string.substr(1)));
        }
      }
      set->seal();
      return Matcher(std::shared_ptr<const NetworkSet>(std::move(set)));
    }
    default: break;
  }
  auto set = std::make_shared<TextSet>();
  for (const Node* node : strings_of(context_, pattern, fact)) {
    if (!node->string.starts_with('$')) {
      text_.add(*set, subject, {.text = node->string, .node = node});
    } else if (find(node->string.substr(1), node->region) != nullptr) {
      set->add_set(texts(node->string.substr(1), subject));
    }
  }
  return Matcher(std::shared_ptr<const TextSet>(std::move(set)));
}

std::shared_ptr<const TextSet> Patterns::text_pattern(const std::string& text, const Region& at,
                                                      const Subject& subject) {
  if (text.starts_with('$')) {
    return find(text.substr(1), at) == nullptr ? nullptr : texts(text.substr(1), subject);
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
  for (const ListItem& item : it->second.items) {
    if (is_pattern(item.text)) continue;
    if (auto domain = canonical_domain(item.text)) return *std::move(domain);
  }
  return "";
}

void Patterns::add_network(NetworkSet& set, const ListItem& item) {
  const auto network = IpNetwork::parse(item.text);
  if (!network) {
    context_.error(Rg::network, item.region(), fmt::format("\"{}\" is neither an address nor a network", item.text),
                   "write for instance \"192.0.2.7\", \"192.0.2.0/24\" or \"2001:db8::/32\"");
  } else if (network->has_host_bits()) {
    context_.error(Rg::host_bits, item.region(), fmt::format("\"{}\" has bits set behind its prefix length", item.text),
                   fmt::format("the network is \"{}\"; for the one address leave the / away", network->text()));
  } else {
    set.add(*network);
  }
}

}  // namespace replygate
