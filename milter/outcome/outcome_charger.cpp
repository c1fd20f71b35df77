#include "milter/outcome/outcome_charger.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace replygate {
namespace {

constexpr std::size_t kMostFlying = 500;
// Until what is counted is surely on the store's disk, and until what it could not tell is asked once more.
constexpr Duration kUntilSafe = std::chrono::seconds(5);
constexpr Duration kUntilAgain = std::chrono::seconds(1);

}  // namespace

// What the store's answers change, on its threads.
struct OutcomeCharger::State {
  std::mutex mutex;
  // Guarded by mutex.
  std::size_t flying = 0;
  std::vector<OutcomeOutbox::Entry> untold;
  std::deque<std::pair<Instant, std::int64_t>> counted;
  Instant again{};
};

OutcomeCharger::OutcomeCharger(Store& store, const CurrentPolicy& policy, const StoreHealth& health, const Clock& clock)
    : store_(store), policy_(policy), health_(health), clock_(clock), state_(std::make_shared<State>()) {}

void OutcomeCharger::add(OutcomeOutbox::Entry entry) { entries_.push_back(std::move(entry)); }

void OutcomeCharger::send(Instant now) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->untold.empty() && state_->again <= now) {
      entries_.insert(entries_.end(), std::make_move_iterator(state_->untold.begin()),
                      std::make_move_iterator(state_->untold.end()));
      state_->untold.clear();
    }
  }
  while (!entries_.empty()) {
    {
      const std::lock_guard lock(state_->mutex);
      if (state_->flying >= kMostFlying) return;
      ++state_->flying;
    }
    const OutcomeOutbox::Entry entry = std::move(entries_.front());
    entries_.pop_front();
    try {
      send(entry, now);
    } catch (...) {
      const std::lock_guard lock(state_->mutex);
      --state_->flying;
      state_->untold.push_back(entry);
      state_->again = now + kUntilAgain;
      throw;
    }
  }
}

void OutcomeCharger::send(OutcomeOutbox::Entry entry, Instant now) {
  CountedOutcome outcome = entry.outcome;
  outcome.at -= clock_.wall_ahead();
  auto charges = charges_of_outcome(*policy_.get(), entry.key, outcome, now);
  const auto told = [state = state_, entry = std::move(entry), now, asked = !charges.empty()](const Readings& answer) {
    const bool well = !asked || (!answer.readings.empty() &&
                                 std::ranges::all_of(answer.readings, [](const auto& r) { return r.has_value(); }));
    const std::lock_guard lock(state->mutex);
    --state->flying;
    if (well) {
      state->counted.emplace_back(now, entry.number);
    } else {
      state->untold.push_back(entry);
      state->again = now + kUntilAgain;
    }
  };
  if (charges.empty()) return told({});
  store_.take(std::move(charges), false, now, told);
}

std::vector<std::int64_t> OutcomeCharger::counted() {
  std::vector<std::int64_t> numbers;
  if (!health_.state().trouble.empty()) return numbers;
  const Instant now = clock_.now();
  const std::lock_guard lock(state_->mutex);
  while (!state_->counted.empty() && state_->counted.front().first + kUntilSafe <= now) {
    numbers.push_back(state_->counted.front().second);
    state_->counted.pop_front();
  }
  return numbers;
}

std::size_t OutcomeCharger::waiting() const {
  const std::lock_guard lock(state_->mutex);
  return entries_.size() + state_->flying + state_->untold.size();
}

}  // namespace replygate
