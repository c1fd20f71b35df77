#include "milter/import/access/lookup.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/import/pattern.h"
#include "policy/mail/domain.h"
#include "policy/mail/ip.h"
#include "policy/mail/text.h"

namespace replygate::import::access {
namespace {

// Ranks: whole keys, then domains from the most exact one on, then addresses of clients, then names in any domain.
constexpr int kWhole = 0;
constexpr int kWithoutTag = 1;
constexpr int kDomains = 1000;
constexpr int kNetworks = 2000;
constexpr int kNames = 3000;

int labels(std::string_view domain) { return static_cast<int>(std::ranges::count(domain, '.')); }

bool is_number_like(std::string_view name) {
  return std::ranges::all_of(name, [](char c) { return is_digit(c) || c == '.'; });
}

void give_up(Found& found, std::string why) { found.why = std::move(why); }

// Begins of addresses, cut at a dot or a colon.
std::optional<std::string> network_of(std::string_view key) {
  if (const auto address = IpAddress::parse(key)) return address->text();
  if (key.size() == 4 && std::ranges::all_of(key, is_digit)) {  // the first group of an IPv6 address
    const auto network = IpNetwork::parse(fmt::format("{}::/16", key));
    return network ? std::optional(network->text()) : std::nullopt;
  }
  const bool v4 = is_number_like(key) && !key.ends_with('.') && !key.starts_with('.') && labels(key) <= 2;
  if (v4) {
    const int octets = labels(key) + 1;
    std::string full(key);
    for (int i = octets; i < 4; ++i) full += ".0";
    full += fmt::format("/{}", 8 * octets);
    return IpNetwork::parse(full) ? std::optional(full) : std::nullopt;
  }
  // A group of zeros may be written in two ways: such a key matches one of them.
  const bool hexadecimal =
      std::ranges::all_of(key, [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || c == ':'; });
  if (!hexadecimal || key.find(':') == std::string_view::npos || key.ends_with(':')) return std::nullopt;
  const auto groups = split(key, ':');
  const bool plain = groups.size() < 8 &&
                     std::ranges::none_of(groups, [](std::string_view g) { return g.empty() || g.starts_with('0'); });
  if (!plain) return std::nullopt;
  const std::string full = fmt::format("{}::/{}", key, 16 * groups.size());
  return IpNetwork::parse(full) ? std::optional(full) : std::nullopt;
}

// A name, and what is below it.
void find_domain(Found& found, std::string_view key, bool address, bool dotted) {
  const bool below = key.starts_with('.');
  const std::string_view domain = below ? key.substr(1) : key;
  if (below && !dotted) {
    found.idle = true;
    return;
  }
  if (!canonical_domain(domain) || is_number_like(domain)) {
    if (below || address) return give_up(found, "the key is no address, network or domain");
    found.patterns = {exact_pattern(key, Text::host)};
    found.rank = kWhole;
    return;
  }
  found.rank = kDomains - 2 * labels(domain) - (below ? 0 : 1);
  const std::string at = address ? "@" : "";
  if (!dotted) {
    found.patterns = {fmt::format(".{}", domain)};
  } else {
    found.patterns = {below ? fmt::format("{}*.{}", at, domain) : fmt::format("{}{}", at, domain)};
  }
}

void find_client(Found& found, std::string_view key, const AccessSettings& settings) {
  if (const auto network = network_of(key)) {
    found.fact = "client_ip";
    found.patterns = {*network};
    const bool whole = network->find('/') == std::string::npos;
    found.rank =
        kNetworks +
        (whole ? 0 : 500 - static_cast<int>(std::ranges::count_if(key, [](char c) { return c == '.' || c == ':'; })));
    return;
  }
  if (key.find(':') != std::string_view::npos) return give_up(found, "the key can be written in several ways");
  found.fact = "client_name";
  if (key == "unknown") {
    found.patterns = {"unknown"};
    return;
  }
  find_domain(found, key, false, settings.dotted_parents);
}

// "user@" and "user@domain": with any tag behind the user, if it has none itself.
std::vector<std::string> with_tags(std::string_view user, std::string_view domain, const AccessSettings& settings) {
  std::vector<std::string> all = {fmt::format("{}@{}", user, domain)};
  for (const char delimiter : settings.delimiters) all.push_back(fmt::format("{}{}*@{}", user, delimiter, domain));
  return all;
}

void find_address(Found& found, std::string_view key, const AccessSettings& settings) {
  found.fact = settings.as;
  if (key == "<>") {
    if (settings.as == "sender") {
      found.patterns = {""};
    } else {
      found.idle = true;
    }
    return;
  }
  const std::size_t at = key.rfind('@');
  if (at == std::string_view::npos) return find_domain(found, key, true, settings.dotted_parents);
  const std::string_view user = key.substr(0, at);
  const std::string_view domain = key.substr(at + 1);
  if (user.empty()) {
    found.idle = true;
    return;
  }
  if (user.find_first_of("\"*?/$\\ ") != std::string_view::npos)
    return give_up(found, "its local part would be a pattern");
  if (!domain.empty() && !canonical_domain(domain)) return give_up(found, "its domain is none");
  const bool tagged = user.find_first_of(settings.delimiters) != std::string_view::npos;
  found.rank = (domain.empty() ? kNames : kWhole) + (tagged ? 0 : kWithoutTag);
  found.patterns = tagged ? std::vector<std::string>{std::string(key)} : with_tags(user, domain, settings);
}

Found found_indexed(const Entry& entry, const AccessSettings& settings) {
  Found found;
  found.entry = &entry;
  found.fact = settings.as;
  found.why = entry.why;
  found.idle = entry.again;
  if (!found.why.empty() || found.idle) return found;
  if (settings.as == "client") {
    find_client(found, entry.key, settings);
  } else if (settings.as == "helo") {
    find_domain(found, entry.key, false, settings.dotted_parents);
  } else if (settings.as == "sasl") {
    found.fact = "user";
    found.patterns = {exact_pattern(entry.key, Text::login)};
  } else {
    find_address(found, entry.key, settings);
  }
  return found;
}

Found found_network(const Entry& entry, const AccessSettings& settings) {
  Found found;
  found.entry = &entry;
  found.fact = "client_ip";
  found.negated = entry.negated;
  found.why = entry.why;
  found.idle = settings.as != "client";
  std::string key = entry.key;
  std::erase_if(key, [](char c) { return c == '[' || c == ']'; });
  const auto network = IpNetwork::parse(key);
  if (!network) {
    if (found.why.empty()) found.why = "it is no network";
  } else {
    if (network->has_host_bits()) found.why = "it has bits of a host, and Postfix passes over it";
    found.patterns = {network->text()};
  }
  return found;
}

bool is_below(std::string_view name, std::string_view domain) {
  return name == domain ||
         (name.size() > domain.size() && name.ends_with(domain) && name[name.size() - domain.size() - 1] == '.');
}

// Of keys in an index that are no networks.
bool keys_meet(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const auto domain = [](std::string_view key) {
    return key.substr(key.find('@') == std::string_view::npos ? 0 : key.find('@') + 1);
  };
  const auto bare = [](std::string_view key) { return key.starts_with('.') ? key.substr(1) : key; };
  const bool any_domain = a.ends_with('@') || b.ends_with('@');
  if (any_domain) return true;
  if (a == "<>" || b == "<>") return false;
  return is_below(domain(a), bare(domain(b))) || is_below(domain(b), bare(domain(a)));
}

}  // namespace

bool may_meet(const Found& a, const Found& b) {
  if (a.fact != b.fact || a.negated || b.negated) return true;
  if (a.patterns.size() == 1 && b.patterns.size() == 1 && a.fact == "client_ip") {
    const auto one = IpNetwork::parse(a.patterns[0]);
    const auto two = IpNetwork::parse(b.patterns[0]);
    return !one || !two || one->contains(two->first()) || two->contains(one->first());
  }
  const bool expressions = std::ranges::any_of(a.patterns, [](const auto& p) { return p.starts_with('/'); }) ||
                           std::ranges::any_of(b.patterns, [](const auto& p) { return p.starts_with('/'); });
  return expressions || keys_meet(a.entry->key, b.entry->key);
}

std::vector<Found> lookup_order(const Table& table, const AccessSettings& settings) {
  std::vector<Found> all;
  for (const Entry& entry : table.entries) {
    switch (table.type) {
      case Type::indexed: all.push_back(found_indexed(entry, settings)); break;
      case Type::cidr: all.push_back(found_network(entry, settings)); break;
      case Type::pattern: all.push_back(found_pattern(entry, settings)); break;
    }
  }
  if (table.type == Type::indexed) std::ranges::stable_sort(all, {}, &Found::rank);
  return all;
}

}  // namespace replygate::import::access
