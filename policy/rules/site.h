#pragma once

#include <memory>
#include <string>

#include "policy/base/calendar.h"
#include "policy/mail/sender_form.h"
#include "policy/rules/match.h"

namespace replygate {

// Who we are.
struct Site {
  std::string default_domain = "localhost";     // canonical; completes addresses without a domain
  std::string postmaster_domain = "localhost";  // that one, if it is ours, else another domain of ours
  std::shared_ptr<const TextSet> local_domains;
  std::shared_ptr<const TextSet> relay_domains;
  std::shared_ptr<const NetworkSet> trusted_networks;
  unsigned ipv4_prefix = 24;
  unsigned ipv6_prefix = 64;
  Zone zone;                  // of local time
  bool relay_by_mta = false;  // the policy need not deny relaying
  std::string subaddress;     // characters that part a tag from the mailbox; "" keeps tags
  SenderForms normalize = 0;  // of senders in keys
  std::string login_domain;   // canonical; of logins without a domain in keys; "": they stay as they are

  bool knows_domains() const;  // some local or relay domain is named
};

}  // namespace replygate
