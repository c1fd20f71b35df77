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
  if (entry.value.kind == Node::Kind::table) {
    context_.check_keys(entry.value, "list", fmt::format("the list \"{}\"", entry.key));
    if (const Entry* file = entry.value.find("file")) {
      read_list_file(file->value, list);
    } else {
      context_.error(Rg::missing_key, entry.value.region,
                     fmt::format("the list \"{}\" says not where it is", entry.key),
                     "write an array of strings, or { file = \"path\" }");
    }
  } else {
    for (const Node* node : strings_of(context_, entry.value, "an entry of a list")) {
      if (node->string.starts_with('$')) {
        context_.error(Rg::pattern_type, node->region, "a list cannot name another list",
                       "name both lists in the rule: an array means any of them");
      } else {
        list.items.push_back({node->string, node->region});
      }
    }
  }
  lists_.insert_or_assign(entry.key, std::move(list));
}

void Patterns::read_list_file(const Node& file, List& list) {
  if (!context_.expect(file, Node::Kind::string, "file")) return;
  std::string why;
  const auto text = context_.read(file.string, why);
  if (!text) {
    context_.error(Rg::list_unreadable, file.region, fmt::format("{}: {}", file.string, why),
                   "relative paths are taken from the folder of the policy");
    return;
  }
  unsigned number = 0;
  for (std::string_view line : split(*text, '\n')) {
    ++number;
    line = trim(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    list.items.push_back({std::string(line),
                          {.file = file.string,
                           .line = number,
                           .column = 1,
                           .end_line = number,
                           .end_column = static_cast<unsigned>(line.size()) + 1}});
  }
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
      for (const Item& item : it->second.items) add_text(*set, kind, item.text, item.region);
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
      for (const Item& item : it->second.items) add_network(*set, item.text, item.region);
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
    case FactKind::size: return numbers(kind, fact, pattern);
    case FactKind::ip: {
      auto set = std::make_shared<NetworkSet>();
      for (const Node* node : strings_of(context_, pattern, fact)) {
        if (!node->string.starts_with('$')) {
          add_network(*set, node->string, node->region);
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
      add_text(*set, kind, node->string, node->region);
    } else if (find(node->string.substr(1), node->region) != nullptr) {
      set->add_set(texts(node->string.substr(1), kind));
    }
  }
  return Matcher(std::shared_ptr<const TextSet>(std::move(set)));
}

std::optional<Matcher> Patterns::numbers(FactKind kind, std::string_view fact, const Node& pattern) {
  std::vector<NumberRange> ranges;
  const auto add = [&](const Node& node) {
    if (auto range = parse_range(context_, kind, fact, node)) ranges.push_back(*range);
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
  add_text(*set, kind, text, at);
  return set;
}

std::string Patterns::first_domain(std::string_view list) const {
  const auto it = lists_.find(list);
  if (it == lists_.end()) return "";
  for (const Item& item : it->second.items) {
    if (is_pattern(item.text)) continue;
    if (auto domain = canonical_domain(item.text)) return *std::move(domain);
  }
  return "";
}

void Patterns::add_network(NetworkSet& set, const std::string& text, const Region& at) {
  const auto network = IpNetwork::parse(text);
  if (!network) {
    context_.error(Rg::network, at, fmt::format("\"{}\" is neither an address nor a network", text),
                   "write for instance \"192.0.2.7\", \"192.0.2.0/24\" or \"2001:db8::/32\"");
  } else if (network->has_host_bits()) {
    context_.error(Rg::host_bits, at, fmt::format("\"{}\" has bits set behind its prefix length", text),
                   fmt::format("the network is \"{}\"; for the one address leave the / away", network->text()));
  } else {
    set.add(*network);
  }
}

std::optional<std::string> Patterns::domain(std::string_view text, const Region& at) {
  auto result = canonical_domain(text);
  if (!result) context_.error(Rg::domain, at, fmt::format("\"{}\" is no domain", text));
  return result;
}

void Patterns::add_text(TextSet& set, FactKind kind, const std::string& text, const Region& at) {
  const bool has_domain = kind != FactKind::local_part;
  const bool has_local = kind == FactKind::address || kind == FactKind::login || kind == FactKind::text;
  if (text.size() >= 2 && text.starts_with('/') && text.ends_with('/')) {
    if (const auto why = set.add_regex(std::string_view(text).substr(1, text.size() - 2))) {
      context_.error(Rg::regex, at, fmt::format("{}: {}", text, *why), "the syntax is that of RE2");
    }
  } else if (text.find_first_of("*?") != std::string::npos) {
    set.add_glob(to_lower(text));
  } else if (text.size() > 1 && text.starts_with('.') && has_domain) {
    if (auto name = domain(text.substr(1), at)) set.add_domain_tree(*std::move(name));
  } else if (text.size() > 1 && text.starts_with('@') && has_local) {
    if (auto name = domain(text.substr(1), at)) set.add_at_domain(*std::move(name));
  } else if (text.size() > 1 && text.ends_with('@') && has_local) {
    set.add_local(to_lower(text.substr(0, text.size() - 1)));
  } else {
    add_exact(set, kind, text, at);
  }
}

void Patterns::add_exact(TextSet& set, FactKind kind, const std::string& text, const Region& at) {
  if (kind == FactKind::domain) {
    if (text.find('@') != std::string::npos) {
      context_.error(Rg::cannot_match, at, fmt::format("a domain is never \"{}\"", text),
                     fmt::format("write \"{}\"", text.substr(text.rfind('@') + 1)));
    } else if (auto name = domain(text, at)) {
      set.add_exact(*std::move(name));
    }
  } else if (kind == FactKind::address && !text.empty()) {
    const Address address = canonical_address(text, {.default_domain = "", .is_local = [](auto) { return false; }});
    if (address.form == Address::Form::mailbox) {
      set.add_exact(address.full);
    } else {
      context_.error(Rg::cannot_match, at, fmt::format("an address is never \"{}\"", text),
                     canonical_domain(text)
                         ? fmt::format("for every address of the domain write \"@{}\"", text)
                         : "write \"user@example.org\", \"@example.org\", \".example.org\" or \"user@\"");
    }
  } else if (kind == FactKind::local_part && text.find('@') != std::string::npos) {
    context_.error(Rg::cannot_match, at, fmt::format("a local part is never \"{}\"", text),
                   fmt::format("write \"{}\"", text.substr(0, text.find('@'))));
  } else {
    set.add_exact(to_lower(text));
  }
}

}  // namespace replygate
