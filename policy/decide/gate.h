#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/base/callback.h"
#include "policy/count/store.h"
#include "policy/count/tally.h"
#include "policy/decide/decide.h"
#include "policy/decide/inquiry.h"
#include "policy/decide/lookups.h"

namespace replygate {

// That the message or the session is counted; see Once.
struct CountedOnce {
  Unit unit = Unit::messages;
  std::string name;
  bool had_room = true;
};

// A verdict and what it holds. The caller settles the reservation once the fate of the message is known.
struct Judgement {
  Verdict verdict;
  ReservationId reservation = 0;  // 0 where the verdict refuses: all is given back already
  std::vector<CountedOnce> counted;
};

// Sees how each decision came about. Used on the thread that decides.
class Witness {
 public:
  Witness() = default;
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;
  virtual ~Witness() = default;
  // The arguments are good during the call.
  virtual void judged(const Policy& policy, const Facts& facts, const Question& question, const Inquiry& inquiry,
                      const std::vector<std::optional<Reading>>& readings, const Verdict& verdict) = 0;
};

// The one path of every decision: what live sources say, charges, store, decision, the return of what a refusal had
// reserved, and what is counted once its reply is given. Holds no state of a session; any thread.
class Gate {
 public:
  using Done = Callback<void(Judgement&&), 144>;

  // `witness` and `lookups` may be null, and outlive the gate. Without lookups no live source can be asked.
  explicit Gate(Store& store, Witness* witness = nullptr, Lookups* lookups = nullptr);
  ~Gate();
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  // What `facts` refers to, `policy` and `tally` must stay alive and unchanged until `done` was called. It is called
  // exactly once, before judge() returns or later, as the store does.
  void judge(const Policy& policy, const Facts& facts, const Question& question, Tally& tally, const Moment& moment,
             Done done);

  // Counts what follows from a verdict now that the client is told of it: refusals, escalation, unknown recipients.
  // `facts` are those of the reply, which may come later than the decision. They are needed during the call alone;
  // `done` is called as that of judge(), where another door counts for this one at once.
  void replied(const Policy& policy, const Facts& facts, const Question& question, const Verdict& verdict, Tally& tally,
               const std::function<void()>& done);

  // Which step of its escalation a rule has come to for the key of `facts`: 0 before the first one, nothing where that
  // cannot be told. `done` is called as that of judge().
  using Reached = std::function<void(std::optional<std::size_t>)>;
  void step_reached(const Policy& policy, const Facts& facts, const Rule& rule, const Reached& done);

  // Turns reservations into use; `done` is called as that of judge(). Where the store throws, all are given back.
  template <typename Then>
  void keep(std::span<const ReservationId> ids, Instant now, Then done) {
    if (keep_at_once(ids, now)) return done();
    keep_in_time(ids, now, [&done]() -> Store::Settled { return std::move(done); });
  }
  void give_back(std::span<const ReservationId> ids, Instant now) noexcept;

 private:
  struct Case;
  class Cases;
  using Holder = boost::intrusive_ptr<Case>;

  Holder begin(const Policy& policy, const Facts& facts, const Question& question, Tally& tally, const Moment& moment);
  void look_up(const Holder& held);
  void charge(const Holder& held);
  void ask(const Holder& held, bool admit);
  void hear(const Holder& held, const Readings& answer);
  void finish(const Holder& held, const Readings& answer);
  static bool must_ask_anew(const Case& c, const Verdict& verdict);
  void take_anew(const Holder& held, const Judgement& first);
  void give_back_or_throw(std::span<const ReservationId> ids, Instant now);
  bool keep_at_once(std::span<const ReservationId> ids, Instant now);
  void keep_in_time(std::span<const ReservationId> ids, Instant now, const std::function<Store::Settled()>& done);
  static std::vector<Ask> uncounted_of_refusal(const Case& c, const Verdict& verdict);
  static void count(Case& c, const Verdict& verdict, std::vector<CountedOnce>& counted);

  Store& store_;
  Witness* witness_;
  Lookups* lookups_;
  std::shared_ptr<Cases> cases_;
};

}  // namespace replygate
