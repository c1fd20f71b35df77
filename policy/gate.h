#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/count/charges.h"
#include "policy/count/store.h"
#include "policy/count/tally.h"
#include "policy/decide.h"

namespace replygate {

// A verdict and what it holds. The caller settles the reservation once the fate of the message is known.
struct Judgement {
  Verdict verdict;
  ReservationId reservation = 0;              // 0 where the verdict refuses: all is given back already
  std::vector<std::string> message_counters;  // charged for the message as a whole
};

// Sees how each decision came about. Used on the thread that decides.
class Witness {
 public:
  Witness() = default;
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  virtual ~Witness() = default;
  // The arguments are good during the call.
  virtual void judged(const Policy& policy, const Facts& facts, const Question& question, const Charges& charges,
                      const std::vector<std::optional<Reading>>& readings, const Verdict& verdict) = 0;
};

// The one path of every decision: charges, store, decision, and the return of what a refusal had reserved.
// Holds no state of a session; any thread.
class Gate {
 public:
  using Done = std::function<void(Judgement)>;

  // `witness` may be null, and outlives the gate.
  explicit Gate(Store& store, Witness* witness = nullptr) : store_(store), witness_(witness) {}

  // What `facts` refers to, `policy` and `tally` must stay alive and unchanged until `done` was called. It is called
  // exactly once, before judge() returns or later, as the store does.
  void judge(const Policy& policy, const Facts& facts, const Question& question, Tally& tally, const Moment& moment,
             Done done);

  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Store::Settled done) {
    store_.settle(std::move(ids), settlement, now, std::move(done));
  }

 private:
  struct Case;

  void finish(const std::shared_ptr<Case>& c, Readings answer);
  void count_aftermath(const std::shared_ptr<Case>& c, Judgement judgement);

  Store& store_;
  Witness* witness_;
};

}  // namespace replygate
