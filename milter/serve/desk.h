#pragma once

#include "milter/clock.h"
#include "milter/door/decision_times.h"
#include "milter/door/traffic.h"
#include "milter/log/history.h"
#include "milter/log/recorder.h"
#include "milter/log/sinks.h"
#include "milter/log/troubles.h"
#include "milter/serve/policy_keeper.h"
#include "milter/serve/ranking.h"
#include "milter/serve/statistics.h"
#include "milter/serve/tail.h"
#include "milter/store/health.h"
#include "policy/count/store.h"
#include "policy/decide/lookups.h"

namespace replygate {

class Notifier;
class OutcomeReader;
class OutcomeStatistics;

// What an admin may see and change of the running daemon. Outlives whoever looks; each part is safe for any thread.
struct Desk {
  const Settings& settings;  // of the start
  PolicyKeeper& keeper;
  Store& store;
  StoreHealth& health;
  const Clock& clock;
  Traffic& traffic;
  DecisionTimes& times;
  Statistics& statistics;
  Rankings& rankings;
  Tail& tail;
  Recorder& recorder;
  LogSinks& sinks;
  Troubles& troubles;
  History* history = nullptr;                       // null: none is kept
  Notifier* notifier = nullptr;                     // null: nobody is told
  OutcomeReader* outcomes = nullptr;                // null: what became of the mail is not known
  OutcomeStatistics* outcome_statistics = nullptr;  // null where outcomes is
  Lookups* lookups = nullptr;                       // null: what live sources say is not known
  Instant started{};
};

}  // namespace replygate
