#include "milter/store/sqlite_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "milter/log/say.h"

namespace replygate {
namespace {

constexpr std::chrono::milliseconds kWindow{100};
constexpr std::chrono::milliseconds kLook{50};    // for a lock
constexpr std::chrono::milliseconds kPause{500};  // between attempts while the file cannot be written
constexpr std::size_t kBatch = 50'000;            // counters in one transaction, or little more
constexpr std::string_view kConsequence = "counting goes on in memory; what is counted now is lost if replygate stops";

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
  store->thread_ = std::thread([raw = store.get()] { raw->run(); });
  return store;
}

SqliteStore::~SqliteStore() {
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

tl::expected<void, std::string> SqliteStore::load() {
  auto file = StateFile::open(settings_.path, MemoryStore::random_secret());
  if (!file && file.error().unusable) {
    if (auto aside = set_aside(file.error().why); !aside) return aside;
    file = StateFile::open(settings_.path, MemoryStore::random_secret());
  }
  if (!file) return tl::unexpected(file.error().why);
  const MemoryStore::Bounds bounds{.keys = settings_.max_keys, .reservation = settings_.reservation_timeout};
  memory_ = std::make_unique<MemoryStore>(bounds, (*file)->secret(), true);
  const Instant now = clock_.now();
  std::vector<MemoryStore::Change> out_of_use;
  const auto content = (*file)->read([&](const CounterKey& key, std::string_view state) {
    auto counter = Counter::load(state, now);
    if (!counter) return false;
    if (counter->idle(now) || !memory_->restore(key, *std::move(counter))) out_of_use.push_back({key, ""});
    return true;
  });
  if (!content) return tl::unexpected(content.error().why);
  if (content->log_missing) {
    health_.noticed(fmt::format("{}: its write-ahead log is gone", settings_.path), "what was counted last is lost");
  }
  file_ = *std::move(file);
  if (content->sound()) {
    memory_->list_again(out_of_use);
    return {};
  }
  const std::string damage = fmt::format("{}: {} counters are damaged, {} or more are missing; {} are sound",
                                         settings_.path, content->damaged, content->missing, content->counters);
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

void SqliteStore::take(std::vector<Charge> charges, bool admit, Instant now, Taken done) {
  Readings readings = memory_->take_now(charges, admit, now);
  if (settings_.durability == StoreSettings::Durability::window || !readings.counted) return done(std::move(readings));
  wait_for_disk([done = std::move(done), readings = std::move(readings)]() mutable { done(std::move(readings)); });
}

void SqliteStore::settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) {
  memory_->settle_now(ids, settlement, now);
  const bool nothing = settlement == Settlement::give_back || std::ranges::all_of(ids, [](auto id) { return id == 0; });
  if (settings_.durability == StoreSettings::Durability::window || nothing) return done();
  wait_for_disk(std::move(done));
}

void SqliteStore::forget(std::vector<std::string> counters, Instant now, Forgotten done) {
  memory_->forget(std::move(counters), now, std::move(done));
}

void SqliteStore::wait_for_disk(std::function<void()> then) {
  if (in_trouble_) return then();
  {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(then));
  }
  wake_.notify_one();
}

void SqliteStore::run() {
  std::unique_lock lock(mutex_);
  for (bool last = false; !last;) {
    wake_.wait_for(lock, kWindow, [this] { return stopping_ || !waiting_.empty(); });
    last = stopping_;
    const auto answered = std::exchange(waiting_, {});
    lock.unlock();
    flush();
    for (const auto& answer : answered) answer();
    lock.lock();
    last = last && waiting_.empty();
  }
}

void SqliteStore::flush() {
  const auto begin = std::chrono::steady_clock::now();
  if (in_trouble_ && begin < try_again_) return;
  if (file_ && !file_->in_place()) {
    health_.failed(fmt::format("{}: somebody has removed it", settings_.path), "all is written anew");
    file_.reset();
  }
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
  health_.recovered();
}

void SqliteStore::note_trouble(const StateFile::Failure& failure) {
  health_.failed(failure.why, std::string(kConsequence));
  in_trouble_ = true;
  try_again_ = std::chrono::steady_clock::now() + kPause;
  if (!failure.unusable) return;
  file_.reset();
  if (auto aside = set_aside(failure.why); !aside) health_.failed(aside.error(), std::string(kConsequence));
}

// Times in the file are those of the wall clock. What clocks drift apart by being slewed is left out, so that what was
// counted leaves at its time.
Duration SqliteStore::shift() const {
  const Duration ahead = clock_.wall_ahead();
  return std::chrono::abs(ahead) < std::chrono::seconds(1) ? Duration(0) : ahead;
}

}  // namespace replygate
