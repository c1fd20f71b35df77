// Counters on disk: killed daemons (G1, G2), files that cannot be written (G22), damaged files (G23).

#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <system_error>
#include <thread>
#include <utility>

#include "milter/store/sqlite_store.h"
#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"
#include "tests/support/folder.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;

constexpr int kPeers = 8;
constexpr std::string_view kRules =
    "[[rule]]\nname = \"q\"\nper = \"sender\"\nlimit = \"1M messages / 1w\"\nreply = \"quota-exceeded\"\n";

std::string sender_of(int peer) { return fmt::format("s{}@x.example", peer); }

Charge look_at(const std::string& sender) {
  static const std::shared_ptr<const Policy> policy = policy_from(kRules);
  const Rule& rule = policy->rules().front();
  const Connection nobody;
  const Key key{.shown = sender, .identity = fmt::format("{}:{}", sender.size(), sender)};
  Ask ask = ask_for(rule, rule.limits.front(), key, Facts{.connection = nobody, .zone = &policy->site().zone});
  ask.cost = 0;
  return charge_of(ask, 0, false, false);
}

std::int64_t used_of(SqliteStore& store, const std::string& sender, Instant now) {
  std::int64_t used = -1;
  store.take({look_at(sender)}, false, now, [&](const Readings& r) { used = r.readings.front()->used; });
  return used;
}

// What the file at `path` says of each sender.
std::vector<std::int64_t> saved_counts(const std::string& path, int senders) {
  const Clock clock;
  StoreHealth health;
  auto store = SqliteStore::open({.path = path}, clock, health);
  if (!store) throw std::runtime_error(store.error());
  std::vector<std::int64_t> counts;
  for (int i = 0; i < senders; ++i) counts.push_back(used_of(**store, sender_of(i), clock.now()));
  return counts;
}

// Peers that send messages, one after the other, each as its own sender, until they are stopped or cut off.
class Load {
 public:
  explicit Load(const std::string& address) : acknowledged_(kPeers), times_(kPeers) {
    for (int i = 0; i < kPeers; ++i) threads_.emplace_back([this, address, i] { send(address, i); });
  }
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  // To be asked once stopped.
  std::int64_t acknowledged(int peer) const { return acknowledged_[static_cast<std::size_t>(peer)]; }
  std::int64_t since(int peer, SteadyTime time) const {
    return std::ranges::count_if(times_[static_cast<std::size_t>(peer)], [&](SteadyTime t) { return t >= time; });
  }
  std::int64_t all() const {
    std::int64_t sum = 0;
    for (int i = 0; i < kPeers; ++i) sum += acknowledged(i);
    return sum;
  }
  bool cut_off() const { return cut_off_; }
  double slowest() { return latencies_.percentile(99); }

 private:
  void send(const std::string& address, int peer) {
    try {
      WireClient client = open_session(address);
      const auto own = static_cast<std::size_t>(peer);
      while (!stop_) {
        const auto begin = now();
        client.ask(mail_packet(fmt::format("<{}>", sender_of(peer))));
        client.ask(rcpt_packet("<r@y.example>"));
        if (client.ask(packet('E')).text() != "c") break;
        ++acknowledged_[own];
        times_[own].push_back(now());
        latencies_.add(seconds_since(begin) * 1000);
      }
    } catch (const std::exception&) {
    }
    cut_off_ = cut_off_ || !stop_;
  }

  std::vector<std::int64_t> acknowledged_;  // each used by its thread until all have ended
  std::vector<std::vector<SteadyTime>> times_;
  Latencies latencies_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> cut_off_{false};
  std::vector<std::thread> threads_;
};

struct Losses {
  std::int64_t acknowledged = 0;
  std::int64_t lost = 0;           // acknowledged and not in the file
  std::int64_t lost_too_much = 0;  // more than the last 150 ms
  std::int64_t most_lost = 0;      // at one kill
  std::int64_t above = 0;          // more in the file than was sent
  double slowest_start = 0;
};

// Kills a daemon under load again and again, and compares what its peers were told with what its file says.
Losses kill_often(const GoalOptions& options, std::string_view durability, int rounds) {
  const Folder folder;
  const std::string path = folder.file("state.db");
  const milliseconds window(options.small ? 2000 : 150);  // a busy machine writes late
  Losses losses;
  std::vector<std::int64_t> model(kPeers, 0);
  std::mt19937 random(17);
  for (int round = 0; round < rounds; ++round) {
    const auto begin = now();
    auto daemon = std::make_unique<Daemon>(
        Daemon::Options{.binary = options.binary,
                        .rules = std::string(kRules),
                        .store = fmt::format("path = \"{}\"\ndurability = \"{}\"", path, durability)});
    losses.slowest_start = std::max(losses.slowest_start, seconds_since(begin));
    Load load(daemon->address());
    std::this_thread::sleep_for(milliseconds(40 + random() % 200));
    daemon.reset();  // kills
    const auto killed = now();
    load.stop();
    const auto saved = saved_counts(path, kPeers);
    std::int64_t lost_now = 0;
    for (int i = 0; i < kPeers; ++i) {
      std::int64_t& base = model[static_cast<std::size_t>(i)];
      const std::int64_t found = saved[static_cast<std::size_t>(i)];
      const std::int64_t told = base + load.acknowledged(i);
      const std::int64_t lost = std::max<std::int64_t>(told - found, 0);
      lost_now += lost;
      if (lost > load.since(i, killed - window)) ++losses.lost_too_much;
      if (found > told + 1) ++losses.above;  // one may be counted and not acknowledged
      base = found;
    }
    losses.acknowledged += load.all();
    losses.lost += lost_now;
    losses.most_lost = std::max(losses.most_lost, lost_now);
  }
  return losses;
}

// A small file system in memory; not there without the right to mount one.
class SmallDisk {
 public:
  SmallDisk() { mounted_ = ::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=2m,mode=0700") == 0; }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  bool mounted() const { return mounted_; }
  std::string file(std::string_view name) const { return folder_.file(name); }
  void fill() const {
    std::ofstream rest(file("rest"), std::ios::binary);
    const std::string block(4096, 'x');
    while (rest.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  void empty() const { std::filesystem::remove(file("rest")); }

 private:
  Folder folder_;
  bool mounted_ = false;
};

// Seconds from now until the file was written for the last time: nothing has come to it since for longer than the
// daemon waits before it tries again.
double seconds_until_written(const std::string& path) {
  constexpr auto kQuiet = milliseconds(1500);
  const auto written = [&] {
    std::error_code gone;
    return std::max(std::filesystem::last_write_time(path, gone),
                    std::filesystem::last_write_time(path + "-wal", gone));
  };
  const auto from = now();
  auto last = from;
  for (auto known = written(); now() - last < kQuiet && seconds_since(from) < 10;) {
    std::this_thread::sleep_for(milliseconds(5));
    if (const auto present = written(); std::exchange(known, present) != present) last = now();
  }
  return std::chrono::duration<double>(last - from).count();
}

// A trouble that begins and ends under load: all is answered, stderr says so, and nothing is lost once it is over.
void endure(const GoalOptions& options, Report& report, std::string_view what, const std::string& path,
            const std::function<void(pid_t)>& begin, const std::function<void(pid_t)>& end) {
  Daemon daemon({.binary = options.binary, .rules = std::string(kRules), .store = fmt::format("path = \"{}\"", path)});
  Load load(daemon.address());
  std::this_thread::sleep_for(milliseconds(300));
  begin(daemon.pid());
  const auto from = now();
  while (daemon.messages().find("counting goes on in memory") == std::string::npos && seconds_since(from) < 10) {
    std::this_thread::sleep_for(milliseconds(5));
  }
  const double alarm = seconds_since(from);
  std::this_thread::sleep_for(milliseconds(options.full ? 20'000 : 2'000));
  load.stop();
  end(daemon.pid());
  const double flushed = seconds_until_written(path);
  const bool told = daemon.messages().find("in order again") != std::string::npos;
  const bool alive = daemon.alive();
  ::kill(daemon.pid(), SIGKILL);
  daemon.wait();
  const auto saved = saved_counts(path, kPeers);
  std::int64_t lost = 0;
  for (int i = 0; i < kPeers; ++i) lost += load.acknowledged(i) - saved[static_cast<std::size_t>(i)];
  report.exactly("G22", fmt::format("{}: peers cut off, {} messages", what, load.all()),
                 load.cut_off() || !alive ? 1 : 0, 0);
  report.measured("G22", fmt::format("{}: alarm after", what), alarm, 1, "s");
  report.measured("G22", fmt::format("{}: all is written after it is over", what), flushed, 5, "s");
  report.exactly("G22", fmt::format("{}: its end is not told", what), told ? 0 : 1, 0);
  report.exactly("G22", fmt::format("{}: counts lost", what), lost, 0);
}

void limit_files(pid_t pid, rlim_t octets) {
  const rlimit limit{octets, RLIM_INFINITY};
  ::prlimit(pid, RLIMIT_FSIZE, &limit, nullptr);
}

// One file with known counters, spoiled in many ways.
class Spoiled {
 public:
  Spoiled() {
    StoreHealth health;
    auto store = SqliteStore::open({.path = folder_.file("good.db")}, clock_, health).value();
    for (int i = 0; i < kCounters; ++i) {
      Charge charge = look_at(sender_of(i));
      charge.cost = i % 9 + 1;
      store->take({charge}, true, clock_.now(), [](const Readings&) {});
    }
    store.reset();
    std::ifstream file(folder_.file("good.db"), std::ios::binary);
    good_.assign(std::istreambuf_iterator<char>(file), {});
  }

  const std::string& good() const { return good_; }

  // Counters that differ without a word, 1 for one that is wrong in any case.
  std::int64_t silent(const std::string& octets) {
    const std::string path = folder_.file(fmt::format("spoiled{}.db", ++number_));
    std::ofstream(path, std::ios::binary) << octets;
    StoreHealth health;
    const auto begin = now();
    auto store = SqliteStore::open({.path = path}, clock_, health);
    slowest_ = std::max(slowest_, seconds_since(begin));
    if (!store) return 1;
    const bool said = !health.state().failures.empty();
    said_ += said ? 1 : 0;
    std::int64_t wrong = 0;
    for (int i = 0; i < kCounters; ++i) {
      const std::int64_t used = used_of(**store, sender_of(i), clock_.now());
      const bool right = used == i % 9 + 1;
      if (!right && (used != 0 || !said)) ++wrong;
    }
    const bool kept = !said || std::ranges::any_of(std::filesystem::directory_iterator(folder_.path()), [&](auto& e) {
      return e.path().string().starts_with(path + ".unusable-");
    });
    return wrong + (kept ? 0 : 1);
  }

  int said() const { return said_; }
  double slowest() const { return slowest_; }

 private:
  static constexpr int kCounters = 200;
  Folder folder_;
  Clock clock_;
  std::string good_;
  int number_ = 0;
  int said_ = 0;
  double slowest_ = 0;
};

}  // namespace

void killed_commit(const GoalOptions& options, Report& report) {
  const int rounds = options.full ? 200 : 10;
  const Losses losses = kill_often(options, "commit", rounds);
  report.exactly("G1", fmt::format("of {} acknowledged, lost in {} kills", losses.acknowledged, rounds), losses.lost,
                 0);
  report.exactly("G1", "counters with more than was in flight", losses.above, 0);
  report.measured("G1", "slowest start", losses.slowest_start, 1, "s");
}

void killed_window(const GoalOptions& options, Report& report) {
  const int rounds = options.full ? 200 : 10;
  const Losses losses = kill_often(options, "window", rounds);
  report.exactly("G2", fmt::format("of {} acknowledged, {} kills: lost more than 150 ms", losses.acknowledged, rounds),
                 losses.lost_too_much, 0);
  report.exactly("G2", fmt::format("counters above the model; at most {} lost at a kill", losses.most_lost),
                 losses.above, 0);
}

void unwritable_file(const GoalOptions& options, Report& report) {
  const SmallDisk disk;
  if (disk.mounted()) {
    const std::string path = disk.file("state.db");
    endure(options, report, "disk full", path, [&](pid_t) { disk.fill(); }, [&](pid_t) { disk.empty(); });
  } else {
    fmt::print("G22  not played without the right to mount: disk full\n");
  }
  const Folder folder;
  const std::string path = folder.file("state.db");
  endure(
      options, report, "I/O error", path, [](pid_t pid) { limit_files(pid, 8'000); },
      [](pid_t pid) { limit_files(pid, RLIM_INFINITY); });
  std::filesystem::remove(path);
  sqlite3* other = nullptr;
  const auto lock = [&](pid_t) {
    sqlite3_open(path.c_str(), &other);
    sqlite3_busy_timeout(other, 5000);
    sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
  };
  endure(options, report, "locked by another program", path, lock, [&](pid_t) { sqlite3_close(other); });
}

void damaged_file(const GoalOptions& options, Report& report) {
  Spoiled spoiled;
  std::mt19937 random(23);
  std::int64_t silent = 0;
  const int flips = options.full ? 400 : 60;
  for (int i = 0; i < flips; ++i) {
    std::string octets = spoiled.good();
    octets[random() % octets.size()] ^= static_cast<char>(1U << random() % 8);
    silent += spoiled.silent(octets);
  }
  const int cuts = options.full ? 100 : 20;
  for (int i = 0; i < cuts; ++i) silent += spoiled.silent(spoiled.good().substr(0, random() % spoiled.good().size()));
  std::string nonsense(50'000, '\0');
  for (char& octet : nonsense) octet = static_cast<char>(random());
  silent += spoiled.silent(nonsense);
  report.exactly(
      "G23",
      fmt::format("counters silently wrong after {} flips and {} cuts, {} of them said", flips, cuts, spoiled.said()),
      silent, 0);
  report.measured("G23", "slowest until it serves", spoiled.slowest(), 2, "s");
}

}  // namespace replygate::test
