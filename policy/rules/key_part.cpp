#include "policy/rules/key_part.h"

#include <algorithm>

#include "policy/mail/address.h"
#include "policy/mail/domain.h"
#include "policy/mail/quantity.h"
#include "policy/mail/subaddress.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

constexpr std::size_t kDigest = 32;  // hexadecimal digits
constexpr char kEscape = '\\';

std::optional<std::string> canonical_mailbox(std::string_view text) {
  Address address = canonical_address(text, {.default_domain = "", .is_local = [](auto) { return false; }});
  return address.form == Address::Form::mailbox ? std::optional(std::move(address.full)) : std::nullopt;
}

// Local parts that need quotes have them.
std::optional<std::string> canonical_local(std::string_view text) {
  const bool quoted = text.size() >= 2 && text.starts_with('"') && text.ends_with('"');
  if (!quoted && text.find_first_of("@ \t\"") != std::string_view::npos) return std::nullopt;
  const auto full = canonical_mailbox(std::string(text) + "@local.invalid");
  return full ? std::optional(full->substr(0, full->rfind('@'))) : std::nullopt;
}

std::optional<std::string> canonical_net(std::string_view text, const Site& site) {
  const auto network = IpNetwork::parse(text);
  if (!network || text.find('/') == std::string_view::npos || network->text() != net_like(text, site)) {
    return std::nullopt;
  }
  return network->text();
}

// A number, or one with its unit, as format_value() writes it.
std::optional<std::string> canonical_number(std::string_view text, FactKind kind) {
  switch (kind) {
    case FactKind::size: {
      const auto size = parse_size(text);
      return size ? std::optional(format_size(*size)) : std::nullopt;
    }
    case FactKind::percent: {
      if (!text.ends_with('%')) return std::nullopt;
      const auto percent = parse_count(trim(text.substr(0, text.size() - 1)));
      return percent ? std::optional(std::to_string(*percent) + '%') : std::nullopt;
    }
    case FactKind::duration: {
      const auto duration = parse_duration(text);
      return duration ? std::optional(format_duration(*duration)) : std::nullopt;
    }
    default: {
      const auto count = parse_count(text);
      return count ? std::optional(std::to_string(*count)) : std::nullopt;
    }
  }
}

std::optional<std::string> canonical_time(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (text.size() != 5 || colon != 2) return std::nullopt;
  const auto hour = parse_count(text.substr(0, colon));
  const auto minute = parse_count(text.substr(colon + 1));
  return hour && minute && *hour < 24 && *minute < 60 ? std::optional(std::string(text)) : std::nullopt;
}

std::optional<std::string> canonical_weekday(std::string_view text) {
  std::string word = to_lower(text);
  for (unsigned day = 1; day <= 7; ++day) {
    if (word == weekday_name(day)) return word;
  }
  return std::nullopt;
}

std::optional<std::string> canonical_text(std::string_view text, Fact fact, const Site& site) {
  if (fact == Fact::client_net) return canonical_net(text, site);
  if (fact == Fact::digest && text.size() != kDigest) return std::nullopt;
  if (fact != Fact::client_name && fact != Fact::helo) return folded(text);
  // Host names are compared as DNS has them.
  auto name = canonical_domain(text);
  return name ? name : fact == Fact::helo ? std::optional(folded(text)) : std::nullopt;
}

}  // namespace

std::string key_part(std::string value, Fact fact, const Site& site) {
  const FactKind kind = info(fact).kind;
  const bool sender = fact == Fact::sender || fact == Fact::sender_local;
  if (sender && site.normalize != 0) value = steady_sender(value, site.normalize);
  if (!site.subaddress.empty() && may_have_tag(kind)) value = without_tag(value, site.subaddress);
  const bool bare_login = fact == Fact::user && !site.login_domain.empty() && value.find('@') == std::string::npos;
  if (bare_login && !value.empty()) value += '@' + site.login_domain;
  if (is_lower_ascii(value)) return value;
  return folded(value);
}

bool is_key_part(std::string_view value, Fact fact, const Site& site) {
  const bool sender = fact == Fact::sender || fact == Fact::sender_local;
  if (sender && site.normalize != 0) return false;
  const bool tags = !site.subaddress.empty() && may_have_tag(info(fact).kind);
  if (tags && value.find_first_of(site.subaddress) != std::string_view::npos) return false;
  const bool bare_login = fact == Fact::user && !site.login_domain.empty() && value.find('@') == std::string_view::npos;
  return !bare_login && is_lower_ascii(value);
}

void append_shown_part(std::string& key, std::string_view part) {
  const bool plain =
      part.find(kEscape) == std::string_view::npos && part.find(kPartSeparator) == std::string_view::npos;
  if (plain) {
    key += part;
    return;
  }
  for (std::size_t i = 0; i < part.size(); ++i) {
    const bool before_special = i + 1 == part.size() || part[i + 1] == kEscape || part[i + 1] == kPartSeparator;
    if (part[i] == kPartSeparator || (part[i] == kEscape && before_special)) key += kEscape;
    key += part[i];
  }
}

std::string shown_part(std::string_view part) {
  std::string text;
  append_shown_part(text, part);
  return text;
}

std::vector<std::string> parts_of_key(std::string_view text) {
  std::vector<std::string> parts(1);
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == kEscape && i + 1 < text.size() && (text[i + 1] == kEscape || text[i + 1] == kPartSeparator);
    if (text[i] == kPartSeparator) {
      parts.emplace_back();
    } else {
      parts.back() += text[escape ? ++i : i];
    }
  }
  return parts;
}

std::optional<std::string> canonical_key_part(std::string_view text, Fact fact, const Site& site) {
  if (text.empty()) return std::nullopt;
  switch (info(fact).kind) {
    case FactKind::boolean: return text == "true" || text == "false" ? std::optional(std::string(text)) : std::nullopt;
    case FactKind::ip: {
      const auto ip = IpAddress::parse(text);
      return ip ? std::optional(ip->text()) : std::nullopt;
    }
    case FactKind::address: return canonical_mailbox(text);
    case FactKind::domain: return canonical_domain(text);
    case FactKind::local_part: return canonical_local(text);
    case FactKind::login: return canonical_login(text);
    case FactKind::clock: return canonical_time(text);
    case FactKind::weekday: return canonical_weekday(text);
    case FactKind::text:
    case FactKind::version: return canonical_text(text, fact, site);
    default: return canonical_number(text, info(fact).kind);
  }
}

std::string net_like(std::string_view text, const Site& site) {
  const IpAddress first = IpNetwork::parse(text).value_or(*IpNetwork::parse("192.0.2.0/24")).first();
  return IpNetwork::around(first, first.is_v4() ? site.ipv4_prefix : site.ipv6_prefix).text();
}

}  // namespace replygate
