#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "policy/proof/slot.h"
#include "policy/rules/policy.h"

namespace replygate {

// A value of a slot.
struct Pick {
  std::string text;
  std::int64_t number = 0;  // of clocks the minute of the week; of senders 1 for one that is malformed; of mailboxes
                            // below 0 for one that is not there
  std::optional<IpAddress> ip;  // of clients; nothing: no address
  bool known = true;            // false: the MTA does not say it
};

// One transaction with one recipient, as it is at one point.
struct Model {
  Connection connection;
  Transaction transaction;
  Recipient recipient;
  Instant now{std::chrono::hours(490000)};
  const Zone* zone = nullptr;

  Facts facts() const { return {connection, &transaction, &recipient, now, zone}; }
  // Gives a slot its value; `header` is the name of the field in lower case.
  void set(Slot slot, const std::string& header, const Pick& pick, const Site& site);
};

// Whether a condition on the slot holds for its value.
Truth truth_of(const Condition& condition, Slot slot, const Pick& pick, const Site& site);

// The first instant from `from` on at which the site's clock shows the minute of the week; `from` itself where none is
// soon.
Instant instant_at(Instant from, std::int64_t minute_of_week, const Zone& zone);

}  // namespace replygate
