#pragma once

#include <memory>

#include "milter/clock.h"
#include "milter/current_policy.h"
#include "milter/door/decision_times.h"
#include "milter/door/traffic.h"
#include "milter/log/troubles.h"
#include "policy/decide/gate.h"
#include "policy/decide/record.h"
#include "policy/decide/refs.h"
#include "policy/decide/session.h"

namespace replygate {

// What every door needs of the daemon. Outlives the doors; any thread.
struct DoorServices {
  std::shared_ptr<const Policy> policy;  // as it was at the start: its settings hold until the end
  Gate& gate;
  RecordSink& sink;
  References& references;
  const Clock& clock;
  Traffic& traffic;
  DecisionTimes& times;
  Mailboxes* mailboxes = nullptr;          // null: mailbox_used is unknown
  const CurrentPolicy* current = nullptr;  // null: the policy never changes
  const OwnConnections* own = nullptr;     // null: there are none
  Troubles* troubles = nullptr;            // null: nobody wants to hear of them
  const DeadAddresses* dead = nullptr;     // null: no address is known to be dead

  // That a new session begins with.
  std::shared_ptr<const Policy> policy_now() const { return current == nullptr ? policy : current->get(); }
  Session::Services of_session() const { return {gate, sink, references, mailboxes, own, dead}; }
};

}  // namespace replygate
