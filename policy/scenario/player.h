#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/count/store_memory.h"
#include "policy/decide/session.h"
#include "policy/scenario/given_dead.h"
#include "policy/scenario/given_lookups.h"
#include "policy/scenario/scenario.h"

namespace replygate {

// What one recipient got in the end.
struct Delivered {
  std::string recipient;
  std::optional<Reply> reply;  // nothing: accepted
  std::string rule;            // that answered, "" for none
  std::string classification;
  bool closed = false;  // it is the reply to another recipient, which has closed the connection
};

// What became of one transaction.
struct Played {
  std::vector<Delivered> recipients;
  Disposition disposition;
  std::vector<std::string> observed;  // rules that would have answered
};

// Plays transactions through the path that the daemon takes, with a clock of its own and a store that begins empty.
// Used by one thread.
class Player {
 public:
  // `witness`, `mailboxes` and `lookups` may be null, and outlive the player. The latter two answer at once; they are
  // asked where a transaction does not say how full mailboxes are, and what live sources know.
  explicit Player(std::shared_ptr<const Policy> policy, Witness* witness = nullptr, Mailboxes* mailboxes = nullptr,
                  Lookups* lookups = nullptr);

  // One session with one transaction. What the given leaves open is as Postfix would say it. Without recipients the
  // answer to MAIL, or what waits for recipients, is that of a recipient "".
  Played play(const Given& given, const std::vector<std::string>& recipients, Instant now);

  // What became of the recipients of the last transaction, if it was let through; see fates_of().
  void tell(const Outcomes& outcomes, Instant now);

  MemoryStore& store() { return store_; }
  GivenDead& dead() { return dead_; }

 private:
  class Dialogue;
  class KnownMailbox;
  class Sink;

  std::shared_ptr<const Policy> policy_;
  MemoryStore store_;
  GivenLookups lookups_;
  Gate gate_;
  Mailboxes* mailboxes_;
  GivenDead dead_;
  References references_{1};
  std::optional<Record> last_;  // of the last transaction
  std::int64_t told_ = 0;       // outcomes
};

}  // namespace replygate
