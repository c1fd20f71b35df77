#pragma once

#include <memory>

#include "milter/clock.h"
#include "policy/gate.h"
#include "policy/record.h"
#include "policy/refs.h"

namespace replygate {

// What every door needs of the daemon. Outlives the doors; any thread.
struct DoorServices {
  std::shared_ptr<const Policy> policy;  // that new sessions begin with
  Gate& gate;
  RecordSink& sink;
  References& references;
  const Clock& clock;
};

}  // namespace replygate
