#include "policy/scenario/census.h"

#include <algorithm>

#include "policy/mail/address.h"
#include "policy/mail/ip.h"
#include "policy/rules/site.h"

namespace replygate {
namespace {

std::string net_of_client(const std::string& client_ip) {
  const auto ip = IpAddress::parse(client_ip);
  if (!ip) return "";
  const Site site;
  return IpNetwork::around(*ip, ip->is_v4() ? site.ipv4_prefix : site.ipv6_prefix).text();
}

std::string sender_in_census(const std::string& address) {
  const AddressContext nowhere{.default_domain = "", .is_local = [](std::string_view) { return false; }};
  return is_canonical_address(address) ? address : canonical_address("<" + address + ">", nowhere).full;
}

bool was_let_through(const PastTransaction& t, const PastRecipient& r) {
  return t.ending == Ending::accepted && t.message.code == 0 && r.answer.code == 0 && !r.mta_refused;
}

}  // namespace

std::string_view to_string(KeyKind kind) {
  constexpr std::array<std::string_view, 3> names = {"user", "sender", "client_net"};
  return names[static_cast<std::size_t>(kind)];
}

void Census::add(KeyKind kind, std::string_view key, Instant time, std::int64_t count, bool capped) {
  if (key.empty()) return;
  for (DemandMeter& meter : meters_[static_cast<std::size_t>(kind)]) {
    if (count > 0) meter.add(key, time, count);
    if (capped) meter.cap(key);
  }
}

void Census::take(const PastTransaction& t) {
  const std::int64_t count = std::ranges::count_if(t.recipients, [&](const auto& r) { return was_let_through(t, r); });
  const bool capped =
      t.message.limit || std::ranges::any_of(t.recipients, [](const PastRecipient& r) { return r.answer.limit; });
  if (t.local || (count == 0 && !capped)) return;
  recipients_ += count;
  first_ = first_ == Instant() ? t.time : std::min(first_, t.time);
  last_ = std::max(last_, t.time);
  if (!t.user.empty()) return add(KeyKind::user, canonical_login(t.user), t.time, count, capped);
  add(KeyKind::sender, sender_in_census(t.sender), t.time, count, capped);
  add(KeyKind::client_net, net_of_client(t.client_ip), t.time, count, capped);
}

}  // namespace replygate
