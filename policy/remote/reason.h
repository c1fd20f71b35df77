#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "policy/catalogue/codes.h"

// Why a remote server did not take a message: the reasons that `explain` names. conf/STATUSES.md documents them.
// Constant data; any thread.
namespace replygate {

// clang-format off: a table, one row an entry
enum class Reason : std::uint8_t {
  delivered,
  user_unknown,
  mailbox_disabled,
  has_moved,
  domain_unknown,
  mailbox_full,
  too_big,
  recipient_filter,
  not_accepting,
  unverified,
  ip_blocked,
  no_ptr,
  sender_rejected,
  auth_failure,
  relay_denied,
  rate_limited,
  greylist,
  spam,
  virus,
  content,
  policy,
  protocol,
  tls,
  network,
  system,
  expired,
  complaint,
  own_refusal,
  unspecified,
};
// clang-format on

// Who can mend it.
enum class Fault : std::uint8_t {
  recipient,
  our_address,  // our IP address, network or the sender's address
  our_dns,
  our_auth,  // SPF, DKIM, DMARC, or a login
  content,
  network,
  their_server,
  our_policy,
  unknown,
};

struct ReasonInfo {
  Reason reason;
  std::string_view slug;
  std::string_view meaning;
  std::string_view classification;  // slug of policy/catalogue/classes.h, "" for none
  Fault fault;
  bool dead;       // the address will not take mail again
  Severity usual;  // where neither a code nor the wording tells
  std::string_view advice;
};

std::span<const ReasonInfo> reasons();
const ReasonInfo& info_of(Reason reason);
std::optional<Reason> reason_from(std::string_view slug);
// What a refusal of ours, by the slug of its classification, is to those who read it: what explain() makes of its
// default reply. Unspecified for what is no classification.
Reason reason_of_class(std::string_view classification);

std::string_view to_string(Fault fault);
std::optional<Fault> fault_from(std::string_view name);

}  // namespace replygate
