#include "policy/mail/domain.h"

#include <fmt/format.h>
#include <idn2.h>

#include <algorithm>
#include <cstdint>
#include <memory>

#include "policy/mail/ip.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

std::optional<std::string> literal(std::string_view domain) {
  const std::string_view inner = domain.substr(1, domain.size() - 2);
  const bool tagged = inner.size() > 5 && equal_ignoring_case(inner.substr(0, 5), "IPv6:");
  const bool colons = inner.find(':', tagged ? 5 : 0) != std::string_view::npos;
  const auto address = IpAddress::parse(inner);
  if (!address || tagged != colons) return std::nullopt;
  return address->is_v4() ? fmt::format("[{}]", address->text()) : fmt::format("[ipv6:{}]", address->text());
}

bool label_octet(char c) { return is_alpha(c) || is_digit(c) || c == '-' || c == '_'; }

bool ascii_label_ok(std::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::ranges::all_of(label, label_octet);
}

bool ascii_name_ok(std::string_view name) {
  if (name.size() > 255) return false;
  for (;;) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    if (!ascii_label_ok(label)) return false;
    // A last label of digits alone would be an address without brackets (RFC 3696 §2).
    if (dot == std::string_view::npos) return !std::ranges::all_of(label, is_digit);
    name.remove_prefix(dot + 1);
  }
}

std::optional<std::string> a_labels_of(const std::string& folded) {
  std::uint8_t* a_labels = nullptr;
  const int status = idn2_lookup_u8(reinterpret_cast<const std::uint8_t*>(folded.c_str()), &a_labels, IDN2_NO_TR46);
  const std::unique_ptr<std::uint8_t, decltype(&idn2_free)> owner(a_labels, &idn2_free);
  if (status != IDN2_OK) return std::nullopt;
  const std::string_view result = reinterpret_cast<const char*>(a_labels);
  return ascii_name_ok(result) ? std::optional(to_lower(result)) : std::nullopt;
}

}  // namespace

bool is_canonical_name(std::string_view domain) { return ascii_name_ok(domain) && is_lower_ascii(domain); }

std::optional<std::string> canonical_domain(std::string_view domain) {
  if (is_canonical_name(domain)) return std::string(domain);
  if (domain.size() > 2 && domain.front() == '[' && domain.back() == ']') return literal(domain);
  if (domain.ends_with('.')) domain.remove_suffix(1);
  if (domain.empty() || std::ranges::any_of(domain, [](char c) { return is_control(c) || c == ' ' || c == '@'; })) {
    return std::nullopt;
  }
  const std::string lowered = to_lower(domain);
  if (is_ascii_text(lowered)) {
    return ascii_name_ok(lowered) ? std::optional(lowered) : std::nullopt;
  }
  const bool names_nothing = std::ranges::any_of(split(lowered, '.'), &std::string_view::empty);
  const auto foreign = [](char c) { return is_ascii(c) && !label_octet(c) && c != '.'; };
  if (lowered.size() > 255 || names_nothing || std::ranges::any_of(lowered, foreign)) return std::nullopt;
  const auto folded = folded_utf8(lowered);
  const auto a_labels = folded ? a_labels_of(*folded) : std::nullopt;
  return a_labels ? a_labels : std::optional(lowered);
}

}  // namespace replygate
