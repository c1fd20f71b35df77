#pragma once

#include <set>
#include <string>

#include "policy/decide/session.h"

namespace replygate {

// The addresses that are dead while transactions are played: those that are named, or each. One thread.
class GivenDead final : public DeadAddresses {
 public:
  bool is_dead(const Address& recipient) const override { return all || named.contains(recipient.full); }

  bool all = false;
  std::set<std::string, std::less<>> named;  // canonical
};

}  // namespace replygate
