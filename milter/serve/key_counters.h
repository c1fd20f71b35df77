#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "milter/serve/desk.h"
#include "policy/decide/inquiry.h"

namespace replygate {

// The counters that the policy keeps for one key, and what keeps their rules alive.
struct Counters {
  std::shared_ptr<const Policy> policy;
  std::string key;
  std::vector<Ask> asks;
  bool rule_known = false;  // or none was asked for
};

// `rule`: of this one alone; "" for all. Limits in a live source are those that `lookups` knows without asking, else
// those of the rule; null: it knows nothing.
Counters counters_of(std::shared_ptr<const Policy> policy, Instant now, const std::string& key, const std::string& rule,
                     Lookups* lookups);

// Charges that change nothing, as Store::take() wants them.
std::vector<Charge> looks_of(const std::vector<Ask>& asks);

// One counter for people: rule, limit, used, most, left, room_at, of a share `of`; "raised" and "escalation" where they
// hold. Nothing where the store cannot tell, and of the recipients of a share, which its own row has.
std::optional<boost::json::object> row_of(const std::vector<Ask>& asks, std::size_t i, const Readings& answer,
                                          Lookups* lookups);

}  // namespace replygate
