#include "policy/remote/handed_on.h"

namespace replygate {
namespace {

// The id in "Sent (6APCiRGH021530 Message accepted for delivery)".
std::string_view accepted_id(std::string_view text) {
  constexpr std::string_view kLead = "Sent (";
  if (!text.starts_with(kLead) || !text.ends_with(" Message accepted for delivery)")) return "";
  return text.substr(kLead.size(), text.find(' ', kLead.size()) - kLead.size());
}

}  // namespace

bool is_this_host(std::string_view ip) { return ip.starts_with("127.") || ip == "::1"; }

std::string_view address_of_relay(std::string_view relay) {
  const std::size_t close = relay.rfind(']');
  const std::size_t open = close == std::string_view::npos ? close : relay.rfind('[', close);
  return open == std::string_view::npos ? "" : relay.substr(open + 1, close - open - 1);
}

std::string_view next_id_of(const LogEvent& event) { return event.next.empty() ? accepted_id(event.text) : event.next; }

}  // namespace replygate
