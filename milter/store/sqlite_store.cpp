#include "milter/store/sqlite_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <system_error>
#include <utility>

#include "milter/log/say.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

constexpr std::chrono::milliseconds kWindow{100};
constexpr std::chrono::milliseconds kLook{50};       // for a lock
constexpr std::chrono::milliseconds kDiskLook{100};  // at how long a write takes
constexpr std::chrono::seconds kDiskPatience{1};
constexpr std::chrono::milliseconds kRewritePause{500};  // between attempts while the file cannot be written
constexpr std::size_t kBatch = 50'000;                   // counters in one transaction, or little more
constexpr std::string_view kSqliteConsequence =
    "counting goes on in memory; what is counted now is lost if replygate stops";

// Two daemons must not write one file; the lock is gone with the process.
tl::expected<int, std::string> lock_beside(const std::string& path, Duration patience) {
  const std::string name = path + ".lock";
  const int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor < 0) return tl::unexpected(fmt::format("{}: {}", name, std::generic_category().message(errno)));
  const auto end = std::chrono::steady_clock::now() + patience;
  for (bool said = false; ::flock(descriptor, LOCK_EX | LOCK_NB) != 0; said = true) {
    if (std::chrono::steady_clock::now() >= end) {
      ::close(descriptor);
      return tl::unexpected(fmt::format("{}: another replygate keeps its counters there", path));
    }
    if (!said) say(fmt::format("store: {}: waiting for the replygate before this one to end", path));
    std::this_thread::sleep_for(kLook);
  }
  return descriptor;
}

// Counters on their way into memory: each waits for a moment, until the place for it is in the cache.
class Incoming {
 public:
  Incoming(MemoryStore& memory, std::vector<MemoryStore::Change>& no_room) : memory_(memory), no_room_(no_room) {}

  void add(const CounterKey& key, Counter&& counter) {
    memory_.prefetch(key);
    auto& [its_key, its_counter] = waiting_[count_++ % waiting_.size()];
    if (count_ > waiting_.size()) restore(its_key, std::move(its_counter));
    its_key = key;
    its_counter = std::move(counter);
  }
  void finish() {
    for (std::size_t i = 0; i < std::min(count_, waiting_.size()); ++i) {
      restore(waiting_[i].first, std::move(waiting_[i].second));
    }
  }

 private:
  void restore(const CounterKey& key, Counter&& counter) {
    if (!memory_.restore(key, std::move(counter))) no_room_.push_back({key, ""});
  }

  MemoryStore& memory_;
  std::vector<MemoryStore::Change>& no_room_;
  std::array<std::pair<CounterKey, Counter>, 32> waiting_;
  std::size_t count_ = 0;
};

}  // namespace

SqliteStore::SqliteStore(const StoreSettings& settings, const Clock& clock, StoreHealth& health)
    : settings_(settings), clock_(clock), health_(health) {}

tl::expected<std::unique_ptr<SqliteStore>, std::string> SqliteStore::open(const StoreSettings& settings,
                                                                          const Clock& clock, StoreHealth& health,
                                                                          Duration patience) {
  std::unique_ptr<SqliteStore> store(new SqliteStore(settings, clock, health));
  auto lock = lock_beside(settings.path, patience);
  if (!lock) return tl::unexpected(lock.error());
  store->lock_ = *lock;
  if (auto loaded = store->load(); !loaded) return tl::unexpected(loaded.error());
  store->thread_ = std::thread([raw = store.get()] {
    name_thread("store");
    raw->run();
  });
  store->patience_ = std::make_unique<Ticker>("store", kDiskLook, [raw = store.get()] { raw->look_for_overdue(); });
  return store;
}

SqliteStore::~SqliteStore() {
  patience_.reset();
  if (thread_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  file_.reset();
  if (lock_ >= 0) ::close(lock_);
}

// Into a memory of its own. What is out of use is to be removed from the file.
StateFile::Result<StateFile::Content> SqliteStore::read_file(std::vector<MemoryStore::Change>& out_of_use) {
  out_of_use.clear();
  file_.reset();
  auto file = StateFile::open(settings_.path, MemoryStore::random_secret());
  if (!file) return tl::unexpected(file.error());
  memory_ = std::make_unique<MemoryStore>(MemoryStore::Bounds{.keys = settings_.max_keys}, (*file)->secret(), true);
  const Instant now = clock_.now();
  memory_->expect(
      static_cast<std::size_t>(std::clamp<std::int64_t>((*file)->expected_counters(), 0, settings_.max_keys)));
  Incoming incoming(*memory_, out_of_use);
  auto content = (*file)->read([&](const CounterKey& key, std::string_view state) {
    auto counter = Counter::load(state, now);
    if (!counter) return false;
    if (counter->idle(now)) {
      out_of_use.push_back({key, ""});
    } else {
      incoming.add(key, *std::move(counter));
    }
    return true;
  });
  incoming.finish();
  if (content) file_ = *std::move(file);
  return content;
}

// A disk that fails once may look like a damaged file: what is damaged is damaged when it is read again.
tl::expected<void, std::string> SqliteStore::load() {
  std::vector<MemoryStore::Change> out_of_use;
  auto content = read_file(out_of_use);
  if (content ? !content->sound() : content.error().unusable) content = read_file(out_of_use);
  if (!content && content.error().unusable) {
    if (auto aside = set_aside(content.error().why); !aside) return aside;
    content = read_file(out_of_use);
  }
  if (!content) return tl::unexpected(content.error().why);
  if (content->log_missing) {
    health_.noticed(fmt::format("{}: its write-ahead log is gone", settings_.path), "what was counted last is lost");
  }
  if (content->sound()) {
    memory_->list_again(out_of_use);
    return {};
  }
  return begin_anew(fmt::format("{}: {} counters are damaged, {} or more are missing; {} are sound", settings_.path,
                                content->damaged, content->missing, content->counters));
}

// What is sound goes into a new file.
tl::expected<void, std::string> SqliteStore::begin_anew(const std::string& damage) {
  file_.reset();
  if (auto aside = set_aside(damage); !aside) return aside;
  auto fresh = reopen();
  memory_->list_all();
  return fresh ? tl::expected<void, std::string>() : tl::unexpected(fresh.error().why);
}

tl::expected<void, std::string> SqliteStore::set_aside(const std::string& why) {
  const auto name = StateFile::set_aside(settings_.path);
  if (!name) return tl::unexpected(fmt::format("{}; {}", why, name.error()));
  health_.noticed(why, fmt::format("it is kept as {}, and a new one begun", *name));
  return {};
}

// A file in which all that is in memory has still to be written.
StateFile::Result<void> SqliteStore::reopen() {
  auto file = StateFile::open(settings_.path, memory_->secret());
  if (!file) return tl::unexpected(file.error());
  if ((*file)->secret() != memory_->secret()) {
    return tl::unexpected(StateFile::Failure{fmt::format("{}: it is another host's", settings_.path), true});
  }
  file_ = *std::move(file);
  return {};
}

// Nobody waits for the disk then.
bool SqliteStore::take_at_once(std::span<const Charge> charges, bool admit, Instant now, Readings& answer) {
  return settings_.durability == StoreSettings::Durability::window &&
         memory_->take_at_once(charges, admit, now, answer);
}

bool SqliteStore::settle_at_once(std::span<const ReservationId> ids, Settlement settlement, Instant now) {
  return settings_.durability == StoreSettings::Durability::window && memory_->settle_at_once(ids, settlement, now);
}

void SqliteStore::take(std::vector<Charge> charges, bool admit, Instant now, Taken done) {
  Readings readings = memory_->take_now(charges, admit, now);
  if (settings_.durability == StoreSettings::Durability::window || !readings.counted) return done(std::move(readings));
  const ReservationId reserved = readings.reservation;
  try {
    wait_for_disk([done, readings = std::move(readings)]() mutable { done(std::move(readings)); },
                  [this, done, reserved, now] {
                    memory_->settle_now({reserved}, Settlement::give_back, now);
                    done({});
                  });
  } catch (...) {
    memory_->settle_now({reserved}, Settlement::give_back, now);
    throw;
  }
}

void SqliteStore::settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) {
  std::function<void()> then = done;  // whatever may fail does so before anything is settled
  std::function<void()> overdue = done;
  memory_->settle_now(ids, settlement, now);
  const bool nothing = settlement == Settlement::give_back || std::ranges::all_of(ids, [](auto id) { return id == 0; });
  if (settings_.durability == StoreSettings::Durability::window || nothing) return done();
  wait_for_disk(std::move(then), std::move(overdue));
}

void SqliteStore::forget(std::vector<std::string> counters, Instant now, Forgotten done) {
  memory_->forget(std::move(counters), now, std::move(done));
}

void SqliteStore::wait_for_disk(std::function<void()> then, std::function<void()> overdue) {
  if (in_trouble_) return then();
  Waiter waiter{std::chrono::steady_clock::now() + kDiskPatience, std::move(then), std::move(overdue)};
  try {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(waiter));
  } catch (const std::bad_alloc&) {
    return waiter.overdue();  // there is no room to wait in
  }
  wake_.notify_one();
}

void SqliteStore::run() {
  std::unique_lock lock(mutex_);
  for (bool last = false; !last;) {
    wake_.wait_for(lock, kWindow, [this] { return stopping_ || !waiting_.empty(); });
    last = stopping_;
    flying_ = std::exchange(waiting_, {});
    writing_since_ = std::chrono::steady_clock::now();
    lock.unlock();
    const bool went_well = guarded("store", [this, last] { flush(last); });
    if (!went_well) forget_progress();
    lock.lock();
    writing_since_.reset();
    auto written = std::exchange(flying_, {});
    lock.unlock();
    for (const Waiter& waiter : written) guarded("store", went_well ? waiter.then : waiter.overdue);
    written.clear();  // what they hold may call out
    lock.lock();
    last = last && waiting_.empty();
  }
  if (in_trouble_) say(fmt::format("store: {}: what was counted since then is lost", health_.state().trouble));
}

// Behind an exception in the middle of a write nobody knows what of it is on disk: all is written again.
void SqliteStore::forget_progress() {
  in_trouble_ = true;
  guarded("store", [this] { memory_->list_all(); });
}

// A disk that neither writes nor fails must not keep anybody waiting.
void SqliteStore::look_for_overdue() {
  const auto now = std::chrono::steady_clock::now();
  std::vector<Waiter> late;
  {
    const std::lock_guard lock(mutex_);
    if (!writing_since_ || now - *writing_since_ < kDiskPatience) return;
    in_trouble_ = true;
    for (auto* waiters : {&flying_, &waiting_}) {
      const auto first = std::ranges::stable_partition(*waiters, [&](const Waiter& w) { return w.until > now; });
      std::ranges::move(first, std::back_inserter(late));
      waiters->erase(first.begin(), first.end());
    }
  }
  health_.failed(fmt::format("{}: the disk does not answer", settings_.path), std::string(kSqliteConsequence));
  for (const Waiter& waiter : late) guarded("store", waiter.overdue);
}

// Before the end the disk is tried once more, however it was a moment ago.
void SqliteStore::flush(bool last) {
  const auto begin = std::chrono::steady_clock::now();
  if (in_trouble_ && begin < try_again_ && !last) return;
  std::string unseen;
  if (file_ && !file_->in_place(unseen).value_or(true)) {
    health_.failed(fmt::format("{}: somebody has removed or changed it", settings_.path), "everything is rewritten");
    file_.reset();
  }
  if (!lock_in_place(unseen)) return note_trouble({unseen});
  if (!unseen.empty()) health_.failed(unseen, "counting goes on, into the file that is open");
  if (!file_) {
    if (auto r = reopen(); !r) return note_trouble(r.error());
    memory_->list_all();
  }
  std::vector<MemoryStore::Change> changes;
  const Instant now = clock_.now();
  for (std::size_t shard = 0; shard < MemoryStore::kShards; ++shard) {
    memory_->changes(shard, now, shift(), changes);
    if (changes.empty() || (changes.size() < kBatch && shard + 1 < MemoryStore::kShards)) continue;
    if (auto r = file_->write(changes); !r) {
      memory_->list_again(changes);
      return note_trouble(r.error());
    }
    changes.clear();
  }
  in_trouble_ = false;
  suspected_ = false;
  if (unseen.empty()) health_.recovered();
}

// Somebody who removes the lock lets another daemon in: it is taken anew, or the file is his.
bool SqliteStore::lock_in_place(std::string& why) {
  struct stat ours{};
  struct stat there{};
  const bool seen = ::stat((settings_.path + ".lock").c_str(), &there) == 0;
  if (::fstat(lock_, &ours) != 0 || (!seen && errno != ENOENT)) return true;
  if (seen && there.st_ino == ours.st_ino) return true;
  const auto again = lock_beside(settings_.path, {});
  if (!again) why = again.error();
  if (!again) return false;
  ::close(std::exchange(lock_, *again));
  return true;
}

void SqliteStore::note_trouble(const StateFile::Failure& failure) {
  health_.failed(failure.why, std::string(kSqliteConsequence));
  in_trouble_ = true;
  try_again_ = std::chrono::steady_clock::now() + kRewritePause;
  if (!failure.unusable) return;
  file_.reset();
  if (!std::exchange(suspected_, true)) return;  // it is looked at once more
  if (auto aside = set_aside(failure.why); !aside) health_.failed(aside.error(), std::string(kSqliteConsequence));
}

// Times in the file are those of the wall clock. What clocks drift apart by being slewed is left out, so that what was
// counted leaves at its time.
Duration SqliteStore::shift() const {
  const Duration ahead = clock_.wall_ahead();
  return std::chrono::abs(ahead) < std::chrono::seconds(1) ? Duration(0) : ahead;
}

}  // namespace replygate
