#pragma once

#include <memory>
#include <string>

#include "milter/log/recorder.h"
#include "milter/serve/desk.h"
#include "policy/count/store_memory.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"
#include "tests/support/world.h"

namespace replygate::test {

// All that commands look at, around a policy in a file of its own; time stands still until it is moved.
class Office {
 public:
  // `version = 1` is put in front of the policy.
  explicit Office(std::string_view policy);
  ~Office() { recorder.stop(); }
  Office(const Office&) = delete;
  Office& operator=(const Office&) = delete;

  void write_policy(std::string_view policy) const {
    folder.write("policy.toml", "version = 1\n" + std::string(policy));
  }
  // A session whose decisions are recorded; it speaks the policy that serves at the moment.
  std::unique_ptr<Session> session();
  // One message of `from` to `to`, with `user` logged in; gives the code for each recipient, 250 where it passes.
  // All listeners have heard of it then.
  std::vector<int> send(const std::string& from, const std::vector<std::string>& to, const std::string& user = "",
                        std::string_view ip = "192.0.2.1");

  // Returns when all listeners have heard of what was decided.
  void hear_all() { recorder.catch_up(std::chrono::seconds(10)); }

  Folder folder;
  HandClock clock;
  MemoryStore store;
  Gate gate{store};
  References references{1};
  Troubles troubles;
  PolicyKeeper keeper;
  StoreHealth health;
  Traffic traffic;
  DecisionTimes times;
  Statistics statistics;
  Rankings rankings;
  Tail tail;
  Records records;
  std::unique_ptr<LogSinks> sinks;
  std::unique_ptr<History> history;
  Recorder recorder;
  std::unique_ptr<Desk> desk;

 private:
  class Lines;
  std::unique_ptr<RecordListener> lines_;
};

}  // namespace replygate::test
