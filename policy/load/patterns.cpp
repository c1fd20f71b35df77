#include "policy/load/patterns.h"

#include <algorithm>

#include "policy/load/numbers.h"
#include "policy/mail/address.h"
#include "policy/mail/domain.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

bool is_pattern(std::string_view text) {
  return text.starts_with('.') || text.starts_with('/') || text.find_first_of("*?@") != std::string_view::npos;
}

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

std::shared_ptr<const TextSet> Patterns::texts(std::string_view name, FactKind kind) {
  auto& compiled = texts_[{std::string(name), kind}];
  if (compiled == nullptr) {
    auto set = std::make_shared<TextSet>();
    if (const auto it = lists_.find(name); it != lists_.end()) {
      for (const ListItem& item : it->second.items) add_text(*set, kind, item);
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

std::optional<Matcher> Patterns::compile(FactKind kind, std::string_view fact, const Node& pattern) {
  switch (kind) {
    case FactKind::boolean:
      if (!context_.expect(pattern, Node::Kind::boolean, fact)) return std::nullopt;
      return Matcher(pattern.boolean);
    case FactKind::count:
    case FactKind::size:
    case FactKind::percent:
    case FactKind::duration:
    case FactKind::clock:
    case FactKind::weekday: return numbers(kind, fact, pattern);
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
      add_text(*set, kind, {.text = node->string, .node = node});
    } else if (find(node->string.substr(1), node->region) != nullptr) {
      set->add_set(texts(node->string.substr(1), kind));
    }
  }
  return Matcher(std::shared_ptr<const TextSet>(std::move(set)));
}

std::optional<Matcher> Patterns::numbers(FactKind kind, std::string_view fact, const Node& pattern) {
  std::vector<NumberRange> ranges;
  const auto add = [&](const Node& node) {
    for (const NumberRange& range : parse_range(context_, kind, fact, node)) ranges.push_back(range);
  };
  if (pattern.kind == Node::Kind::array) {
    std::ranges::for_each(pattern.items, add);
  } else {
    add(pattern);
  }
  return Matcher(std::move(ranges));
}

std::shared_ptr<const TextSet> Patterns::text_pattern(const std::string& text, const Region& at, FactKind kind) {
  if (text.starts_with('$')) {
    return find(text.substr(1), at) == nullptr ? nullptr : texts(text.substr(1), kind);
  }
  auto set = std::make_shared<TextSet>();
  const Node node{.kind = Node::Kind::string, .region = at, .string = text};
  add_text(*set, kind, {.text = node.string, .node = &node});
  return set;
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

std::optional<std::string> Patterns::domain(std::string_view text, const ListItem& item) {
  auto result = canonical_domain(text);
  if (!result) context_.error(Rg::domain, item.region(), fmt::format("\"{}\" is no domain", text));
  return result;
}

// RE2 names the part that it stumbles over, which stands somewhere in the expression.
void Patterns::add_regex(TextSet& set, const ListItem& item) {
  std::string_view part;
  const std::string_view expression = item.text.substr(1, item.text.size() - 2);
  const auto why = set.add_regex(expression, &part);
  if (!why) return;
  Region at = item.region();
  if (item.node != nullptr && !part.empty()) {
    at = part_of(*item.node, 1 + static_cast<std::size_t>(part.data() - expression.data()), part.size());
  }
  context_.error(Rg::regex, at, fmt::format("{}: {}", item.text, *why), "the syntax is that of RE2");
}

void Patterns::add_text(TextSet& set, FactKind kind, const ListItem& item) {
  const std::string_view text = item.text;
  const bool has_domain = kind != FactKind::local_part;
  const bool has_local = kind == FactKind::address || kind == FactKind::login || kind == FactKind::text;
  if (text.size() >= 2 && text.starts_with('/') && text.ends_with('/')) {
    add_regex(set, item);
  } else if (text.find_first_of("*?") != std::string_view::npos) {
    set.add_glob(to_lower(text));
  } else if (text.size() > 1 && text.starts_with('.') && has_domain) {
    if (auto name = domain(text.substr(1), item)) set.add_domain_tree(*std::move(name));
  } else if (text.size() > 1 && text.starts_with('@') && has_local) {
    if (auto name = domain(text.substr(1), item)) set.add_at_domain(*std::move(name));
  } else if (text.size() > 1 && text.ends_with('@') && has_local) {
    set.add_local(to_lower(text.substr(0, text.size() - 1)));
  } else {
    add_exact(set, kind, item);
  }
}

void Patterns::add_exact(TextSet& set, FactKind kind, const ListItem& item) {
  const std::string_view text = item.text;
  if (kind == FactKind::domain) {
    if (text.find('@') != std::string_view::npos) {
      context_.error(Rg::cannot_match, item.region(), fmt::format("a domain is never \"{}\"", text),
                     fmt::format("write \"{}\"", text.substr(text.rfind('@') + 1)));
    } else if (auto name = domain(text, item)) {
      set.add_exact(*std::move(name));
    }
  } else if (kind == FactKind::address && !text.empty()) {
    Address address = canonical_address(text, {.default_domain = "", .is_local = [](auto) { return false; }});
    if (address.form == Address::Form::mailbox) {
      set.add_exact(std::move(address.full));
    } else {
      context_.error(Rg::cannot_match, item.region(), fmt::format("an address is never \"{}\"", text),
                     canonical_domain(text)
                         ? fmt::format("for every address of the domain write \"@{}\"", text)
                         : "write \"user@example.org\", \"@example.org\", \".example.org\" or \"user@\"");
    }
  } else if (kind == FactKind::local_part && text.find('@') != std::string_view::npos) {
    context_.error(Rg::cannot_match, item.region(), fmt::format("a local part is never \"{}\"", text),
                   fmt::format("write \"{}\"", text.substr(0, text.find('@'))));
  } else {
    set.add_exact(to_lower(text));
  }
}

}  // namespace replygate
