#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/base/spares.h"
#include "policy/decide/gate.h"

namespace replygate {

// One decision under way, and its memory, which the next one uses again. It is put back behind its last holder, on
// whatever thread.
struct Gate::Case {
  const Policy* policy = nullptr;
  std::optional<Facts> facts;
  Question question;
  Tally* tally = nullptr;
  Instant now;
  std::string ref;
  Inquiry inquiry;
  std::vector<std::optional<Reading>> readings;  // one for each ask
  std::vector<std::size_t> asked;                // the asks that went to the store
  Reused<Charge> charges;                        // one for each of these
  Readings answer;                               // of a store that has it at once
  Gate::Done done;
  bool admit = false;        // as the store was asked
  bool again = false;        // asked anew, without what stands behind a limit that has let the mail pass
  std::vector<bool> warned;  // the first time
  std::int64_t evicted = 0;

  std::span<const Charge> charged() const { return {charges.empty() ? nullptr : &charges[0], charges.size()}; }

 private:
  friend class Cases;
  friend void intrusive_ptr_add_ref(Case* c) { c->holders_.fetch_add(1, std::memory_order_relaxed); }
  friend void intrusive_ptr_release(Case* c) {
    if (c->holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) put_back(c);
  }
  static void put_back(Case* c) noexcept;

  std::atomic<int> holders_{0};
  std::shared_ptr<Cases> home_;  // while it is in use
};

// Cases that nobody uses at the moment. Any thread; without locks.
class Gate::Cases {
 public:
  static Holder take(const std::shared_ptr<Cases>& cases) {
    std::unique_ptr<Case> c = cases->idle_.take();
    if (!c) c = std::make_unique<Case>();
    c->home_ = cases;
    return Holder(c.release());
  }
  void keep(std::unique_ptr<Case> c) { idle_.keep(std::move(c)); }

 private:
  static constexpr std::size_t kMost = 64;

  Spares<Case, kMost> idle_;
};

// `done` goes first: what it holds may call out.
inline void Gate::Case::put_back(Case* c) noexcept {
  c->done = nullptr;
  c->again = false;
  c->evicted = 0;
  const std::shared_ptr<Cases> home = std::move(c->home_);
  home->keep(std::unique_ptr<Case>(c));
}

}  // namespace replygate
