// Several hosts and one server: a server that stands still (G7) or fails (G8), exactness (G10), counting alone (G11),
// the order of what was answered (G14).

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "tests/fault/fake_redis.h"
#include "tests/fault/goals.h"
#include "tests/fault/nodes.h"
#include "tests/support/redis_server.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Attempts {
  std::atomic<std::int64_t> admitted{0};
  std::atomic<std::int64_t> unknown{0};
};

// Attempts from all nodes at once, two threads each.
void attempt(std::vector<std::unique_ptr<Node>>& nodes, const Charge& charge, int total, Attempts& attempts) {
  std::vector<std::thread> threads;
  const int each = total / static_cast<int>(2 * nodes.size());
  for (const auto& node : nodes) {
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, raw = node.get()] {
        for (int i = 0; i < each; ++i) {
          const Readings r = raw->take(charge);
          attempts.unknown += answered(r) ? 0 : 1;
          attempts.admitted += admits(r) ? 1 : 0;
        }
      });
    }
  }
  for (std::thread& thread : threads) thread.join();
}

std::vector<std::unique_ptr<Node>> some_nodes(const std::vector<std::string>& servers, milliseconds timeout) {
  std::vector<std::unique_ptr<Node>> nodes;
  for (std::size_t i = 0; i < kNodes; ++i) nodes.push_back(std::make_unique<Node>(servers, timeout));
  return nodes;
}

// A call and what came of it.
struct Call {
  double begin;
  double end;
  std::int64_t used;  // -1: nobody knows
  bool admitted;
};

// Whether there is an order of all calls, each within its time, in which a counter gives these answers; calls without
// an answer may have counted, at any time after they began.
bool has_an_order(std::vector<Call> calls, std::int64_t most) {
  std::vector<double> free;
  for (const Call& c : calls) {
    if (c.used < 0) free.push_back(c.begin);
  }
  std::erase_if(calls, [](const Call& c) { return c.used < 0; });
  std::vector<bool> taken(static_cast<std::size_t>(most), false);
  for (const Call& c : calls) {
    if (c.admitted != (c.used < most)) return false;
    if (!c.admitted) continue;
    if (taken[static_cast<std::size_t>(c.used)]) return false;
    taken[static_cast<std::size_t>(c.used)] = true;
  }
  // What ended before another began was counted before it.
  std::ranges::sort(calls, {}, &Call::begin);
  std::vector<Call> by_end = calls;
  std::ranges::sort(by_end, {}, &Call::end);
  std::int64_t least = 0;
  std::size_t ended = 0;
  for (const Call& c : calls) {
    for (; ended < by_end.size() && by_end[ended].end < c.begin; ++ended) {
      least = std::max(least, by_end[ended].used + (by_end[ended].admitted ? 1 : 0));
    }
    if (c.used < least) return false;
  }
  // Each place that no answer took was taken by a call without one, which began before anybody saw it taken.
  std::ranges::sort(free);
  std::ranges::sort(calls, std::greater(), &Call::used);
  std::vector<double> seen;
  double earliest = 1e300;
  std::size_t next = 0;
  for (std::int64_t place = most - 1; place >= 0; --place) {
    for (; next < calls.size() && calls[next].used > place; ++next) earliest = std::min(earliest, calls[next].end);
    if (!taken[static_cast<std::size_t>(place)] && earliest < 1e300) seen.push_back(earliest);
  }
  std::ranges::sort(seen);
  for (std::size_t i = 0; i < seen.size(); ++i) {
    if (i >= free.size() || free[i] > seen[i]) return false;
  }
  return true;
}

long lines_of(const std::string& path) {
  std::ifstream file(path);
  return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
}

// stderr goes to a file for a while.
class Caught {
 public:
  explicit Caught(const std::string& path) : saved_(::dup(STDERR_FILENO)) {
    const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(file, STDERR_FILENO);
    ::close(file);
  }
  ~Caught() {
    ::dup2(saved_, STDERR_FILENO);
    ::close(saved_);
  }
  Caught(const Caught&) = delete;
  Caught& operator=(const Caught&) = delete;

 private:
  int saved_;
};

// Decisions under one fault, for some time: how many there were, and how many had no answer at all in time.
struct Endured {
  long decisions = 0;
  long late = 0;
  long shared = 0;  // answered by the server
};
Endured endure(Node& node, milliseconds time, milliseconds latest) {
  Endured result;
  const auto begin = now();
  while (seconds_since(begin) * 1000 < static_cast<double>(time.count())) {
    const auto from = now();
    const Readings r = node.take(one_of("q", 1'000'000'000));
    ++result.decisions;
    result.shared += answered(r) ? 1 : 0;
    if (seconds_since(from) * 1000 > static_cast<double>(latest.count())) ++result.late;
    if (!answered(r)) std::this_thread::sleep_for(milliseconds(1));
  }
  return result;
}

}  // namespace

void standing_server(const GoalOptions& options, Report& report) {
  const RedisServer server;
  Node node({server.address()}, milliseconds(50));
  constexpr int kThreads = 8;
  std::atomic<bool> stop{false};
  std::atomic<int> phase{0};  // 0: it answers; 1: it stands, and is still asked; 2: it is left
  std::array<Latencies, 3> latencies;
  std::atomic<std::int64_t> counted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      auto next = now();
      while (!stop) {
        const auto begin = now();
        const auto in_phase = static_cast<std::size_t>(phase.load());
        counted += answered(node.take(one_of("q", 1'000'000'000))) ? 1 : 0;
        latencies[in_phase].add(seconds_since(begin) * 1000);
        next += milliseconds(1000 * kThreads / 2000);
        std::this_thread::sleep_until(next);
      }
    });
  }
  std::this_thread::sleep_for(seconds(1));
  phase = 1;
  server.signal(SIGSTOP);
  const auto stopped = now();
  while (node.redis->available() && seconds_since(stopped) < 10) std::this_thread::sleep_for(milliseconds(1));
  const double opened = seconds_since(stopped);
  phase = 2;
  std::this_thread::sleep_for(seconds(options.full ? 30 : 3));
  server.signal(SIGCONT);
  const auto resumed = now();
  const std::int64_t before = counted;
  while (counted < before + 100 && seconds_since(resumed) < 10) std::this_thread::sleep_for(milliseconds(1));
  const double back = seconds_since(resumed);
  stop = true;
  for (std::thread& thread : threads) thread.join();
  const std::int64_t ghosts = node.used("q") - counted;
  report.measured("G7", fmt::format("p99 until the server is left, after {:.0f} ms", opened * 1000),
                  latencies[1].percentile(99), 55, "ms");
  report.measured("G7", fmt::format("p99 of {} decisions then", latencies[2].count()), latencies[2].percentile(99), 2,
                  "ms");
  report.measured("G7", "back to shared counting", back, 2, "s");
  report.at_most("G7", "counted and not acknowledged", static_cast<double>(ghosts), 10, "");
  report.exactly("G7", "acknowledged and not counted", ghosts < 0 ? 1 : 0, 0);
}

void failing_server(const GoalOptions& options, Report& report) {
  const milliseconds time = options.full ? milliseconds(15'000) : milliseconds(1'000);
  constexpr milliseconds kTimeout{50};
  const milliseconds latest = options.small ? milliseconds(2000) : kTimeout + milliseconds(25);
  const Folder folder;
  for (const FakeRedis::Fault fault : FakeRedis::faults()) {
    const std::string messages = folder.file("messages");
    Endured endured;
    StoreHealth::State state;
    {
      const Caught caught(messages);
      FakeRedis server(folder.file("fake.sock"));
      Node node({"unix:" + folder.file("fake.sock")}, kTimeout);
      server.begin(fault);
      endured = endure(node, time, latest);
      state = node.health.state();
      server.begin(FakeRedis::Fault::none);
      const auto begin = now();
      while (!answered(node.take(one_of("q", 1'000'000'000))) && seconds_since(begin) < 5) {
        std::this_thread::sleep_for(milliseconds(2));
      }
      if (seconds_since(begin) >= 5) ++endured.late;
    }
    const bool heals = fault == FakeRedis::Fault::no_script;
    const auto name = FakeRedis::name_of(fault);
    report.exactly("G8", fmt::format("{}: late of {} decisions, or not back after it", name, endured.decisions),
                   endured.late, 0);
    report.exactly("G8", fmt::format("{}: decisions of the server", name), endured.shared,
                   heals ? endured.decisions : 0);
    const double most = (static_cast<double>(time.count()) / 1000 + 3) *
                        std::max<double>(1, static_cast<double>(state.failures.size()));
    report.at_most("G8", fmt::format("{}: lines of {} causes", name, state.failures.size()),
                   static_cast<double>(lines_of(messages)), most, "");
    const bool named = heals || std::ranges::any_of(state.failures, [&](const auto& f) {
                         return f.first.find(FakeRedis::cause_of(fault)) != std::string::npos;
                       });
    report.exactly("G8", fmt::format("{}: its cause is not named", name), named ? 0 : 1, 0);
  }
}

void exact_nodes(const GoalOptions& options, Report& report) {
  const RedisServer server;
  const int rounds = options.full ? 50 : 3;
  auto nodes = some_nodes({server.address()}, seconds(5));
  std::int64_t over = 0;
  int exact = 0;
  for (int round = 0; round < rounds; ++round) {
    const Charge charge = one_of(fmt::format("calm{}", round), 2000);
    Attempts calm;
    attempt(nodes, charge, 12'000, calm);
    exact += calm.admitted == 2000 ? 1 : 0;
  }
  std::int64_t unknown = 0;
  for (int round = 0; round < rounds; ++round) {
    std::atomic<bool> stop{false};
    std::thread cutter([&] {
      while (!stop) {
        server.ask({"CLIENT", "KILL", "TYPE", "normal"});
        std::this_thread::sleep_for(milliseconds(20));
      }
    });
    Attempts rough;
    attempt(nodes, one_of(fmt::format("rough{}", round), 2000), 12'000, rough);
    stop = true;
    cutter.join();
    over += std::max<std::int64_t>(rough.admitted - 2000, 0);
    unknown += rough.unknown;
  }
  report.exactly("G10", fmt::format("of {} rounds of 4 nodes, those that admit 2,000 exactly", rounds), exact, rounds);
  report.exactly("G10", fmt::format("admitted too much while connections are cut, {} unknown", unknown), over, 0);
}

void counting_alone(const GoalOptions& options, Report& report) {
  const RedisServer server;
  auto nodes = some_nodes({server.address()}, milliseconds(50));
  constexpr std::int64_t kMost = 2003;
  const Charge charge = one_of("q", kMost);
  std::atomic<std::int64_t> admitted{0};
  const auto go_on = [&](milliseconds time) {
    std::vector<std::thread> threads;
    for (const auto& node : nodes) {
      threads.emplace_back([&, raw = node.get()] {
        const auto begin = now();
        while (seconds_since(begin) * 1000 < static_cast<double>(time.count())) {
          admitted += admits(raw->ask(raw->share, charge)) ? 1 : 0;
          std::this_thread::sleep_for(milliseconds(2));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
  go_on(milliseconds(300));
  const std::int64_t before = admitted;
  server.signal(SIGSTOP);
  go_on(milliseconds(options.full ? 30'000 : 3'000));
  const std::int64_t alone = admitted - before;
  const std::int64_t until_healed = admitted;
  server.signal(SIGCONT);
  const auto begin = now();
  const auto untold = [&] {
    return std::ranges::any_of(nodes, [](const auto& node) { return node->share.to_be_told() > 0; });
  };
  while (untold() && seconds_since(begin) < 10) go_on(milliseconds(20));
  go_on(milliseconds(300));
  report.at_most("G11", fmt::format("admitted until it is healed, {} of them alone", alone),
                 static_cast<double>(until_healed), kMost, "");
  // Each may admit what the server leaves until the others have told it what they counted.
  report.at_most("G11", "admitted in all, four hosts return within half a second", static_cast<double>(admitted),
                 kMost + 4 * 250, "");
  report.exactly("G11", "nodes that admitted nothing alone", alone > 0 ? 0 : 1, 0);
  report.exactly("G11", "counts that the server was not told", untold() ? 1 : 0, 0);
}

void order_of_answers(const GoalOptions& options, Report& report) {
  const RedisServer server;
  const int keys = options.full ? 500 : 40;
  std::vector<std::unique_ptr<Node>> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(std::make_unique<Node>(std::vector{server.address()}, milliseconds(30)));
  std::atomic<bool> stop{false};
  std::thread trouble([&] {
    std::mt19937 random(31);
    while (!stop) {
      std::this_thread::sleep_for(milliseconds(random() % 60));
      switch (random() % 4) {
        case 0: server.ask({"CLIENT", "KILL", "TYPE", "normal"}); break;
        case 1: server.ask({"SCRIPT", "FLUSH"}); break;
        case 2: server.ask({"DEBUG", "SLEEP", "0.04"}); break;
        default: server.ask({"CLIENT", "PAUSE", "35"}); break;
      }
    }
  });
  long orders = 0;
  long unknown = 0;
  constexpr std::int64_t kMost = 1200;
  const auto start = now();
  for (int key = 0; key < keys; ++key) {
    const Charge charge = one_of(fmt::format("k{}", key), kMost);
    std::vector<std::vector<Call>> heard(clients.size());
    std::vector<std::thread> threads;
    for (std::size_t c = 0; c < clients.size(); ++c) {
      threads.emplace_back([&, c] {
        for (int i = 0; i < 200; ++i) {
          Call call{.begin = seconds_since(start), .end = 0, .used = -1, .admitted = false};
          const Readings r = clients[c]->take(charge);
          call.end = seconds_since(start);
          if (answered(r)) {
            call.used = r.readings.front()->used;
            call.admitted = r.readings.front()->fits;
          }
          heard[c].push_back(call);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::vector<Call> all;
    for (const auto& calls : heard) all.insert(all.end(), calls.begin(), calls.end());
    unknown += std::ranges::count(all, -1, &Call::used);
    orders += has_an_order(std::move(all), kMost) ? 1 : 0;
  }
  stop = true;
  trouble.join();
  report.exactly("G14", fmt::format("of {} histories of 1,600 calls, {} unknown, those with an order", keys, unknown),
                 orders, keys);
  const std::vector<Call> impossible = {{0, 1, 0, true}, {2, 3, 0, true}};
  report.exactly("G14", "a history without an order is taken for one with", has_an_order(impossible, 10) ? 1 : 0, 0);
}

}  // namespace replygate::test
