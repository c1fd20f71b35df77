#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "policy/count/store_memory.h"
#include "policy/decide/session.h"
#include "policy/scenario/given_lookups.h"
#include "policy/scenario/past.h"
#include "policy/scenario/replayed_outcomes.h"

namespace replygate {

// What a policy says of a recipient of the past; of a message without recipients its address is "".
struct Replayed {
  const PastTransaction* transaction = nullptr;
  std::string_view recipient;
  std::string_view ref;
  PastAnswer was;
  PastAnswer now;
  bool left = false;                  // not judged: taken as it was
  std::string key;                    // by which the rule counts, else who sent it
  std::string text;                   // of the reply
  std::string use;                    // "500 of 500 recipients / 1h" of the limit that refuses
  const Rule* rule = nullptr;         // that refuses now
  std::vector<const Rule*> observed;  // that would refuse
};

// What rules cannot be judged from what is known of the past, and why.
struct Unjudged {
  const Rule* rule = nullptr;
  std::string why;
};
// `beyond`: facts that are not known; `units`: what cannot be counted.
std::vector<Unjudged> unjudged_rules(const Policy& policy, FactSet beyond, const std::vector<Unit>& units,
                                     std::string_view source);
// The policy without them, under the same id.
std::shared_ptr<const Policy> without(const Policy& policy, const std::vector<Unjudged>& unjudged);

// Plays transactions of the past through the path that the daemon takes, with their times and a store that begins
// empty. Records come in the order in which transactions ended; decisions are made, and outcomes counted, in the order
// in which that was done then, as far as a few thousand records show it. One thread.
class Replayer {
 public:
  class Listener {
   public:
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    virtual ~Listener() = default;
    virtual void replayed(const Replayed& replayed) = 0;
  };

  // `unjudged`: names of rules whose answers are taken as they were.
  Replayer(std::shared_ptr<const Policy> policy, FactSet beyond, std::vector<std::string> unjudged, Listener& listener);
  ~Replayer();

  void play(PastTransaction transaction);
  // Of mail that was played, or will be.
  void play(PastOutcome outcome);
  void finish();

 private:
  class Kept;
  class Mailbox;
  class Dead;
  struct Dialogue;
  struct Play;
  struct Begin {
    std::uint64_t number = 0;
    Instant time;
    std::shared_ptr<Play> play;
    std::size_t recipient = 0;
    // The first one on top of a heap.
    bool operator<(const Begin& other) const {
      return std::tie(time, number, recipient) > std::tie(other.time, other.number, other.recipient);
    }
  };

  void play_first();
  void begin_until(const PastTransaction& t);
  void begin(const Begin& what, Instant now);
  void mail(Play& play, Instant now);
  void rcpt(Play& play, std::size_t index, Instant now);
  void end(Play& play, Instant now);
  void tell(Play& play);
  std::shared_ptr<Dialogue> dialogue_of(const PastTransaction& t, Instant now);
  bool is_left(const PastAnswer& answer) const;
  void forget_sessions(Instant now);

  std::shared_ptr<const Policy> policy_;
  FactSet beyond_;
  std::vector<std::string> unjudged_;
  Listener& listener_;
  MemoryStore store_;
  ReplayedOutcomes outcomes_;
  GivenLookups lookups_;  // live sources know nothing
  Gate gate_;
  References references_{1};
  std::unique_ptr<Kept> kept_;
  std::unique_ptr<Mailbox> mailbox_;
  std::unique_ptr<Dead> dead_;
  boost::unordered_flat_map<std::string, std::shared_ptr<Dialogue>> dialogues_;  // by session
  std::deque<std::shared_ptr<Play>> waiting_;                                    // in the order of their ends
  std::vector<Begin> begins_;                                                    // a heap
};

}  // namespace replygate
