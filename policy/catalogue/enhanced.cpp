#include "policy/catalogue/enhanced.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <tuple>

namespace replygate {
namespace {

constexpr std::string_view k3463 = "RFC 3463";
constexpr std::string_view k4954 = "RFC 4954";
constexpr std::string_view k6531 = "RFC 6531";
constexpr std::string_view k6710 = "RFC 6710";
constexpr std::string_view k7293 = "RFC 7293";
constexpr std::string_view k7372 = "RFC 7372";
constexpr std::string_view k7505 = "RFC 7505";

constexpr std::array kStatuses = {
    EnhancedStatus{0, 0, "other undefined status", k3463},
    EnhancedStatus{1, 0, "other address status", k3463},
    EnhancedStatus{1, 1, "bad destination mailbox address", k3463},
    EnhancedStatus{1, 2, "bad destination system address", k3463},
    EnhancedStatus{1, 3, "bad destination mailbox address syntax", k3463},
    EnhancedStatus{1, 4, "destination mailbox address ambiguous", k3463},
    EnhancedStatus{1, 5, "destination address valid", k3463},
    EnhancedStatus{1, 6, "destination mailbox has moved, no forwarding address", k3463},
    EnhancedStatus{1, 7, "bad sender's mailbox address syntax", k3463},
    EnhancedStatus{1, 8, "bad sender's system address", k3463},
    EnhancedStatus{1, 9, "message relayed to non-compliant mailer", "RFC 3886"},
    EnhancedStatus{1, 10, "recipient address has null MX", k7505},
    EnhancedStatus{2, 0, "other or undefined mailbox status", k3463},
    EnhancedStatus{2, 1, "mailbox disabled, not accepting messages", k3463},
    EnhancedStatus{2, 2, "mailbox full", k3463},
    EnhancedStatus{2, 3, "message length exceeds administrative limit", k3463},
    EnhancedStatus{2, 4, "mailing list expansion problem", k3463},
    EnhancedStatus{3, 0, "other or undefined mail system status", k3463},
    EnhancedStatus{3, 1, "mail system full", k3463},
    EnhancedStatus{3, 2, "system not accepting network messages", k3463},
    EnhancedStatus{3, 3, "system not capable of selected features", k3463},
    EnhancedStatus{3, 4, "message too big for system", k3463},
    EnhancedStatus{3, 5, "system incorrectly configured", k3463},
    EnhancedStatus{3, 6, "requested priority was changed", k6710},
    EnhancedStatus{4, 0, "other or undefined network or routing status", k3463},
    EnhancedStatus{4, 1, "no answer from host", k3463},
    EnhancedStatus{4, 2, "bad connection", k3463},
    EnhancedStatus{4, 3, "directory server failure", k3463},
    EnhancedStatus{4, 4, "unable to route", k3463},
    EnhancedStatus{4, 5, "mail system congestion", k3463},
    EnhancedStatus{4, 6, "routing loop detected", k3463},
    EnhancedStatus{4, 7, "delivery time expired", k3463},
    EnhancedStatus{5, 0, "other or undefined protocol status", k3463},
    EnhancedStatus{5, 1, "invalid command", k3463},
    EnhancedStatus{5, 2, "syntax error", k3463},
    EnhancedStatus{5, 3, "too many recipients", k3463},
    EnhancedStatus{5, 4, "invalid command arguments", k3463},
    EnhancedStatus{5, 5, "wrong protocol version", k3463},
    EnhancedStatus{5, 6, "authentication exchange line is too long", k4954},
    EnhancedStatus{6, 0, "other or undefined media error", k3463},
    EnhancedStatus{6, 1, "media not supported", k3463},
    EnhancedStatus{6, 2, "conversion required and prohibited", k3463},
    EnhancedStatus{6, 3, "conversion required but not supported", k3463},
    EnhancedStatus{6, 4, "conversion with loss performed", k3463},
    EnhancedStatus{6, 5, "conversion failed", k3463},
    EnhancedStatus{6, 6, "message content not available", "RFC 4468"},
    EnhancedStatus{6, 7, "non-ASCII addresses not permitted for that sender or recipient", k6531},
    EnhancedStatus{6, 8, "UTF-8 string reply is required, but not permitted by the client", k6531},
    EnhancedStatus{6, 9, "UTF-8 header message cannot be transferred to one or more recipients", k6531},
    EnhancedStatus{6, 10, "as X.6.8 (deprecated)", k6531},
    EnhancedStatus{7, 0, "other or undefined security status", k3463},
    EnhancedStatus{7, 1, "delivery not authorized, message refused", k3463},
    EnhancedStatus{7, 2, "mailing list expansion prohibited", k3463},
    EnhancedStatus{7, 3, "security conversion required but not possible", k3463},
    EnhancedStatus{7, 4, "security features not supported", k3463},
    EnhancedStatus{7, 5, "cryptographic failure", k3463},
    EnhancedStatus{7, 6, "cryptographic algorithm not supported", k3463},
    EnhancedStatus{7, 7, "message integrity failure", k3463},
    EnhancedStatus{7, 8, "authentication credentials invalid", k4954},
    EnhancedStatus{7, 9, "authentication mechanism is too weak", k4954},
    EnhancedStatus{7, 10, "encryption needed", "RFC 5248"},
    EnhancedStatus{7, 11, "encryption required for requested authentication mechanism", k4954},
    EnhancedStatus{7, 12, "a password transition is needed", k4954},
    EnhancedStatus{7, 13, "user account disabled", "RFC 5248"},
    EnhancedStatus{7, 14, "trust relationship required", "RFC 4468"},
    EnhancedStatus{7, 15, "priority level is too low", k6710},
    EnhancedStatus{7, 16, "message is too big for the specified priority", k6710},
    EnhancedStatus{7, 17, "mailbox owner has changed", k7293},
    EnhancedStatus{7, 18, "domain owner has changed", k7293},
    EnhancedStatus{7, 19, "recipient validity test cannot be completed", k7293},
    EnhancedStatus{7, 20, "no passing DKIM signature found", k7372},
    EnhancedStatus{7, 21, "no acceptable DKIM signature found", k7372},
    EnhancedStatus{7, 22, "no valid author-matched DKIM signature found", k7372},
    EnhancedStatus{7, 23, "SPF validation failed", k7372},
    EnhancedStatus{7, 24, "SPF validation error", k7372},
    EnhancedStatus{7, 25, "reverse DNS validation failed", k7372},
    EnhancedStatus{7, 26, "multiple authentication checks failed", k7372},
    EnhancedStatus{7, 27, "sender address has null MX", k7505},
    EnhancedStatus{7, 28, "mail flood detected", "IANA registry"},
    EnhancedStatus{7, 29, "ARC validation failure", "RFC 8617"},
    EnhancedStatus{7, 30, "REQUIRETLS support required", "RFC 8689"},
};

constexpr std::array<std::string_view, 8> kSubjects = {"other or undefined",
                                                       "addressing",
                                                       "mailbox",
                                                       "mail system",
                                                       "network and routing",
                                                       "mail delivery protocol",
                                                       "message content or media",
                                                       "security or policy"};

std::optional<std::uint16_t> take_number(std::string_view& text, std::size_t most_digits) {
  std::uint16_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto digits = static_cast<std::size_t>(end - text.data());
  if (error != std::errc{} || digits > most_digits || (digits > 1 && text.front() == '0')) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool take_dot(std::string_view& text) {
  if (!text.starts_with('.')) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

std::optional<EnhancedCode> EnhancedCode::parse(std::string_view text) {
  const auto severity = take_number(text, 1);
  if (!severity || (*severity != 2 && *severity != 4 && *severity != 5) || !take_dot(text)) return std::nullopt;
  const auto subject = take_number(text, 3);
  if (!subject || !take_dot(text)) return std::nullopt;
  const auto detail = take_number(text, 3);
  if (!detail || !text.empty()) return std::nullopt;
  return EnhancedCode{*severity, *subject, *detail};
}

std::string EnhancedCode::text() const { return fmt::format("{}.{}.{}", severity, subject, detail); }

std::span<const EnhancedStatus> enhanced_statuses() { return kStatuses; }

const EnhancedStatus* find_enhanced_status(EnhancedCode code) {
  const auto key = [](const EnhancedStatus& row) { return std::tuple(row.subject, row.detail); };
  const auto wanted = std::tuple(code.subject, code.detail);
  const auto it = std::ranges::lower_bound(kStatuses, wanted, {}, key);
  return it != kStatuses.end() && key(*it) == wanted ? &*it : nullptr;
}

std::string_view class_in_words(EnhancedCode code) {
  if (code.severity == 2) return "success";
  return code.severity == 4 ? "persistent transient failure" : "permanent failure";
}

std::string_view subject_in_words(EnhancedCode code) {
  return code.subject < kSubjects.size() ? kSubjects[code.subject] : "unregistered subject";
}

}  // namespace replygate
