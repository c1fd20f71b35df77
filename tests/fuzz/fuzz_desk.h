#pragma once

#include <cstdlib>

#include "milter/log/recorder.h"
#include "milter/serve/desk.h"
#include "policy/count/store_memory.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"

namespace replygate::test {

// What requests look at: a policy with limits, and nothing that happened.
struct FuzzDesk {
  FuzzDesk() : keeper((write(), folder.file("policy.toml")), folder.path().string(), clock, troubles) {
    const auto loaded = keeper.load_first();
    if (!loaded) std::abort();
    first = *loaded;
    sinks = LogSinks::open(Settings{.log_sinks = {}}).value();
    desk = std::make_unique<Desk>(Desk{.settings = first->settings(),
                                       .keeper = keeper,
                                       .store = store,
                                       .health = health,
                                       .clock = clock,
                                       .traffic = traffic,
                                       .times = times,
                                       .statistics = statistics,
                                       .rankings = rankings,
                                       .tail = tail,
                                       .recorder = recorder,
                                       .sinks = *sinks,
                                       .troubles = troubles,
                                       .started = clock.now()});
  }
  void write() const {
    folder.write(
        "policy.toml",
        "version = 1\n[[rule]]\nname = \"r\"\nper = [\"user\", \"client_ip\"]\nlimit = [\"2 recipients / 1h\", \"9 "
        "recipients / day\"]\nreply = 452\n[[rule]]\nname = \"s\"\nper = \"sender\"\nlimit = \"9 distinct_recipients / "
        "1h\"\nreply = 452\nescalate = [{ after = \"2 refusals / 1h\", reply = 550 }]\n");
  }

  Folder folder;
  HandClock clock;
  MemoryStore store;
  Troubles troubles;
  PolicyKeeper keeper;
  std::shared_ptr<const Policy> first;
  StoreHealth health;
  Traffic traffic;
  DecisionTimes times;
  Statistics statistics;
  Rankings rankings;
  Tail tail;
  Recorder recorder;
  std::unique_ptr<LogSinks> sinks;
  std::unique_ptr<Desk> desk;
};

}  // namespace replygate::test
