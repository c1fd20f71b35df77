#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "milter/door/door.h"
#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

long count_of(const std::string& text, std::string_view what) {
  long count = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++count;
  return count;
}

long lines_in(const std::string& path) {
  std::ifstream file(path);
  return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
}

std::string message(WireClient& mta) {
  mta.ask(mail_packet("<a@x.example>"));
  mta.ask(rcpt_packet("<r@x.example>"));
  return mta.ask(packet('E')).text();
}

// Answers each charge a fixed time later, from one thread.
class SlowStore final : public Store {
 public:
  explicit SlowStore(std::chrono::milliseconds time) : time_(time), thread_([this] { run(); }) {}
  ~SlowStore() override = default;  // its process ends before
  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
    const std::lock_guard lock(mutex_);
    work_.push_back({std::chrono::steady_clock::now() + time_,
                     [this, charges = std::move(charges), admit, now, done = std::move(done)] {
                       store_.take(charges, admit, now, done);
                     }});
    changed_.notify_one();
  }
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
    store_.settle(std::move(ids), settlement, now, std::move(done));
  }
  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override {
    store_.forget(std::move(counters), now, std::move(done));
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !work_.empty(); });
      const auto [due, answer] = std::move(work_.front());
      work_.pop_front();
      lock.unlock();
      std::this_thread::sleep_until(due);
      answer();
      lock.lock();
    }
  }

  MemoryStore store_;
  std::chrono::milliseconds time_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<std::chrono::steady_clock::time_point, std::function<void()>>> work_;
  std::thread thread_;
};

class NoRecords final : public RecordSink {
 public:
  void write(Record) override {}
};

// A server whose every decision takes 300 ms, where 24 tasks are allowed. Until it is killed.
[[noreturn]] void serve_slowly(const std::string& listen) {
  const rlimit tasks{24, 24};
  const bool limited = ::setrlimit(RLIMIT_NPROC, &tasks) == 0 && (::getuid() != 0 || ::setuid(65531) == 0);
  if (!limited) std::_Exit(1);
  const auto policy = policy_from("[milter]\nlisten = \"" + listen +
                                  "\"\n[[rule]]\nname = \"q\"\nlimit = \"1M recipients / 1h\"\nreply = 452\n");
  SlowStore store(std::chrono::milliseconds(300));
  Gate gate(store);
  NoRecords sink;
  References references(1);
  const Clock clock;
  Traffic traffic;
  DecisionTimes times;
  const DoorServices services{policy, gate, sink, references, clock, traffic, times};
  auto door = open_milter_door(services);
  if (!door) std::_Exit(2);
  (*door)->start([](bool) {});
  for (;;) ::pause();
}

}  // namespace

void no_descriptors(const GoalOptions& options, Report& report) {
  const std::string records = "/tmp/replygate-starving." + std::to_string(::getpid());
  std::filesystem::remove(records);
  const double starved = options.full ? 25 : 11;
  long good = 0;
  {
    Daemon daemon(
        {.binary = options.binary, .milter = "", .rules = "", .descriptors = 64, .records = "file:" + records});
    std::vector<WireClient> peers;
    for (int i = 0; i < 200; ++i) {
      peers.emplace_back(daemon.address());
      peers.back().send(negotiation(6, 0x1ff, 0));
    }
    std::this_thread::sleep_for(std::chrono::seconds(1));
    const double before = daemon.cpu_seconds();
    const auto start = now();
    std::vector<std::size_t> served;
    for (std::size_t i = 0; i < peers.size(); ++i) {
      if (!peers[i].silent()) served.push_back(i);
    }
    // Those that are served go on as if nothing was.
    for (const std::size_t i : served) {
      peers[i].read();
      peers[i].ask(connect_packet("192.0.2.1"));
      good += static_cast<long>(message(peers[i]) == "c");
    }
    std::this_thread::sleep_until(
        start + std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::duration<double>(starved)));
    report.measured("G17", fmt::format("CPU while starved, 64 descriptors, 200 peers, {} served", served.size()),
                    100 * (daemon.cpu_seconds() - before) / seconds_since(start), 20, "%");
    report.at_most("G17", fmt::format("lines on stderr in {:.0f} s", starved + 1),
                   static_cast<double>(count_of(daemon.messages(), "accepting pauses")),
                   1 + static_cast<double>(static_cast<int>((starved + 1) / 10)), "");
    report.exactly("G17", "messages of served peers let through", good, static_cast<long>(served.size()));
    // Those served end; the others wait already.
    for (const std::size_t i : served) peers[i].send(packet('Q'));
    std::size_t next = 0;
    while (std::ranges::find(served, next) != served.end()) ++next;
    const auto release = now();
    peers[next].read();
    report.measured("G17", "served again after release", seconds_since(release), 1, "s");
    peers.clear();
    daemon.terminate();
    daemon.wait();
  }
  report.exactly("G17", "records of messages while starved", lines_in(records), good);
  std::filesystem::remove(records);
}

void few_tasks(const GoalOptions& options, Report& report) {
  static_cast<void>(options);
  const std::string path = "/tmp/replygate-few-tasks." + std::to_string(::getpid());
  const std::string address = "unix:" + path;
  std::filesystem::remove(path);
  const pid_t child = ::fork();
  if (child == 0) serve_slowly(address);
  while (!std::filesystem::exists(path)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  std::vector<std::thread> peers;
  std::atomic<long> unanswered = 0;
  for (int i = 0; i < 100; ++i) {
    peers.emplace_back([&] {
      try {
        auto mta = open_session(address, std::chrono::seconds(5));
        for (int round = 0; round < 5; ++round) {
          if (message(mta) != "c") ++unanswered;
        }
      } catch (const std::system_error&) {
        ++unanswered;
      }
    });
  }
  for (std::thread& peer : peers) peer.join();
  report.exactly("G18", "commands of 100 peers unanswered after 5 s, 24 tasks, 300 ms", unanswered, 0);
  report.at_most(
      "G18", "tasks of the server",
      static_cast<double>(std::distance(std::filesystem::directory_iterator(fmt::format("/proc/{}/task", child)), {})),
      24, "");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  std::filesystem::remove(path);
}

}  // namespace replygate::test
