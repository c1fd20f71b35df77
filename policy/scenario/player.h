#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "policy/count/store_memory.h"
#include "policy/scenario/scenario.h"
#include "policy/session.h"

namespace replygate {

// What one recipient got in the end.
struct Delivered {
  std::string recipient;
  std::optional<Reply> reply;  // nothing: accepted
  std::string rule;            // that answered, "" for none
  std::string classification;
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
  // `witness` may be null, and outlives the player.
  explicit Player(std::shared_ptr<const Policy> policy, Witness* witness = nullptr);

  // One session with one transaction. What the given leaves open is as Postfix would say it. Without recipients the
  // answer to MAIL is that of a recipient "".
  Played play(const Given& given, const std::vector<std::string>& recipients, Instant now);

  MemoryStore& store() { return store_; }

 private:
  class Dialogue;
  class Told;
  class Sink;

  std::shared_ptr<const Policy> policy_;
  MemoryStore store_;
  Gate gate_;
  References references_{1};
};

}  // namespace replygate
