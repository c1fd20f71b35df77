#include "milter/log/recorder.h"

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "milter/guarded.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

// Records that come together are heard together; this is how long the first one waits for more.
constexpr std::chrono::milliseconds kGather{5};
constexpr std::int64_t kTogether = 512;
constexpr std::int64_t kMostOfSpent = 16'384;  // octets of an entry that is used again

// What a record takes, roughly, its texts being short as a rule.
std::int64_t octets_of(const Record& record) {
  std::size_t octets = sizeof(Record) + octets_of(record.message);
  for (const auto* headers : {&record.transaction.headers, &record.disposition.headers}) {
    for (const Header& header : *headers) octets += sizeof header + header.name.size() + header.value.size();
  }
  for (const JudgedRecipient& judged : record.recipients) {
    octets += sizeof judged + 2 * judged.recipient.raw.size() + octets_of(judged.verdict);
  }
  return static_cast<std::int64_t>(octets);
}

}  // namespace

struct Recorder::Entry {
  Record record;
  std::int64_t octets = 0;
  Entry* next = nullptr;  // in a list
};

Recorder::Recorder(Bounds bounds) : bounds_(bounds) {}

Recorder::~Recorder() {
  stop();
  while (next_unheard()) continue;
}

void Recorder::start() {
  closed_ = false;
  thread_ = std::thread([this] {
    name_thread("records");
    while (!guarded("records", [this] { run(); })) continue;
  });
}

void Recorder::stop() {
  closed_ = true;
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void Recorder::write(Record record) {
  const std::int64_t octets = octets_of(record);
  if (closed_.load(std::memory_order_relaxed) || !make_room(octets)) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  std::unique_ptr<Entry> entry = spent_.take();
  if (!entry) entry = std::make_unique<Entry>();
  entry->record = std::move(record);
  entry->octets = octets;
  written_.fetch_add(1);
  push(std::move(entry));
  if (asleep_.load() && asleep_.exchange(false)) wake();
}

// Writers that come together may go beyond the bounds by what they bring.
bool Recorder::make_room(std::int64_t octets) {
  if (octets_.load(std::memory_order_relaxed) + octets > bounds_.octets) return false;
  if (waiting_.load(std::memory_order_relaxed) >= kMost) return false;
  octets_.fetch_add(octets, std::memory_order_relaxed);
  waiting_.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void Recorder::push(std::unique_ptr<Entry> owned) {
  Entry* const entry = owned.release();
  entry->next = newest_.load(std::memory_order_relaxed);
  while (!newest_.compare_exchange_weak(entry->next, entry)) continue;
}

// The oldest, or null. All are taken from the writers at once: none can come back under their eyes.
std::unique_ptr<Recorder::Entry> Recorder::next_unheard() {
  if (unheard_ == nullptr) {
    for (Entry* entry = newest_.exchange(nullptr); entry != nullptr;) {
      unheard_ = std::exchange(entry, std::exchange(entry->next, unheard_));
    }
  }
  std::unique_ptr<Entry> oldest(unheard_);
  if (oldest) unheard_ = oldest->next;
  return oldest;
}

// Only the first record after a silence comes here.
void Recorder::wake() {
  {
    const std::lock_guard lock(mutex_);
  }
  wake_.notify_one();
}

void Recorder::run() {
  for (bool ending = false;;) {
    {
      const std::lock_guard lock(mutex_);
      ending = ending_;
    }
    const std::int64_t heard = hear_all();
    tell_heard(heard);
    say_dropped();
    if (ending && heard == 0) return;
    if (!ending && heard < kTogether) rest(heard > 0);
  }
}

// At most so many that whoever wants to catch up is told in time.
std::int64_t Recorder::hear_all() {
  std::int64_t heard = 0;
  for (; heard < kTogether; ++heard) {
    std::unique_ptr<Entry> next = next_unheard();
    if (!next) break;
    Rendering rendering(next->record);
    for (RecordListener* listener : listeners_) guarded("records", [&] { listener->hear(rendering); });
    octets_.fetch_sub(next->octets, std::memory_order_relaxed);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    next->record.policy.reset();  // must not outlive a reload for long
    if (next->octets <= kMostOfSpent) spent_.keep(std::move(next));
  }
  if (heard == 0) return 0;
  for (RecordListener* listener : listeners_) guarded("records", [&] { listener->heard_all(); });
  return heard;
}

void Recorder::tell_heard(std::int64_t heard) {
  if (heard == 0) return;
  {
    const std::lock_guard lock(mutex_);
    heard_ += heard;
  }
  caught_up_.notify_all();
}

void Recorder::say_dropped() {
  const std::int64_t dropped = this->dropped();
  if (dropped == reported_) return;
  slow_.say(fmt::format("what reads the records is too slow: {} records were dropped", dropped - reported_));
  reported_ = dropped;
}

// Writers count what they write before they look whether somebody sleeps.
void Recorder::rest(bool busy) {
  std::unique_lock lock(mutex_);
  if (!busy) {
    asleep_ = true;
    if (written_ == heard_) wake_.wait(lock, [this] { return ending_ || hurry_ || !asleep_; });
    asleep_ = false;
  }
  wake_.wait_for(lock, kGather, [this] { return ending_ || hurry_; });
  hurry_ = false;
}

void Recorder::catch_up(std::chrono::milliseconds patience) {
  std::unique_lock lock(mutex_);
  const std::int64_t target = written_;
  if (heard_ >= target || !thread_.joinable()) return;
  hurry_ = true;
  wake_.notify_one();
  caught_up_.wait_for(lock, patience, [this, target] { return heard_ >= target; });
}

}  // namespace replygate
