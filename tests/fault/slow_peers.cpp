#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <thread>

#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"

namespace replygate::test {
namespace {

constexpr std::string_view kQuota = R"(
[[rule]]
name = "quota"
per = "sender"
limit = "1M recipients / 1h"
reply = "quota-exceeded"
)";

void raise_own_limit() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

bool closed(const WireClient& mta) {
  pollfd descriptor{mta.descriptor(), POLLRDHUP, 0};
  return ::poll(&descriptor, 1, 0) == 1;
}

// One healthy message, command by command.
void timed_message(WireClient& mta, Latencies& latencies) {
  for (const std::string& event : {mail_packet("<a@x.example>"), rcpt_packet("<r@x.example>"), packet('E')}) {
    const auto start = now();
    if (mta.ask(event).command != 'c') return latencies.add(1e9);
    latencies.add(seconds_since(start) * 1000);
  }
}

// Sends as much as the kernel takes, without an end in the middle of a packet that was begun. False if it takes
// nothing.
bool fill(const WireClient& mta, const std::string& octets, std::size_t& sent) {
  bool taken = false;
  for (;;) {
    const auto rest = std::string_view(octets).substr(sent);
    const ssize_t now_sent = ::send(mta.descriptor(), rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (now_sent <= 0) return taken;
    sent = (sent + static_cast<std::size_t>(now_sent)) % octets.size();
    taken = true;
  }
}

// Fills what the kernel and replygate will hold for peers that read nothing.
void stuff(const std::vector<WireClient>& deaf) {
  std::string many;
  for (int i = 0; i < 500; ++i) many += packet('U', strings({"FOO"}));
  std::vector<std::size_t> sent(deaf.size(), 0);
  for (bool taken = true; taken;) {
    taken = false;
    for (std::size_t i = 0; i < deaf.size(); ++i) taken = fill(deaf[i], many, sent[i]) || taken;
    std::this_thread::sleep_for(std::chrono::milliseconds(200));  // for what was taken to be answered
  }
}

}  // namespace

void slow_peers(const GoalOptions& options, Report& report) {
  raise_own_limit();
  Daemon daemon({.binary = options.binary, .milter = "", .rules = std::string(kQuota)});
  auto idle = open_session(daemon.address());
  auto healthy = open_session(daemon.address());
  const double before = daemon.resident_mib();
  const auto start = now();
  std::vector<WireClient> beginning;  // three octets and no more
  std::vector<WireClient> inside;     // half a packet
  std::vector<WireClient> deaf;       // never read
  const std::string recipient = rcpt_packet("<someone@x.example>");
  for (int i = 0; i < 2000; ++i) {
    beginning.emplace_back(daemon.address()).send(recipient.substr(0, 3));
    inside.push_back(open_session(daemon.address()));
    inside.back().send(recipient.substr(0, recipient.size() / 2));
    if (i % 4 == 0) deaf.push_back(open_session(daemon.address()));
  }
  stuff(deaf);
  Latencies latencies;
  double most_memory = 0;
  int most_threads = 0;
  double last_closed = 0;
  const auto all_closed = [&] {
    for (const auto* group : {&beginning, &inside, &deaf}) {
      for (const WireClient& mta : *group) {
        if (!closed(mta)) return false;
      }
    }
    return true;
  };
  while (seconds_since(start) < 60) {
    for (int i = 0; i < 50; ++i) timed_message(healthy, latencies);
    most_memory = std::max(most_memory, daemon.resident_mib() - before);
    most_threads = std::max(most_threads, daemon.threads());
    last_closed = seconds_since(start);
    if (all_closed()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  report.at_most("G19", "threads with 4,500 slow peers", most_threads, 64, "");
  report.measured("G19", "more memory", most_memory, 16, "MiB");
  report.measured("G19", fmt::format("p99 of a healthy peer, {} commands", latencies.count()), latencies.percentile(99),
                  5, "ms");
  report.measured("G19", "last slow peer closed after", last_closed, 30, "s");
  report.exactly("G19", "idle peers closed", static_cast<long>(closed(idle)), 0);
}

void idle_peers(const GoalOptions& options, Report& report) {
  raise_own_limit();
  constexpr int kIdle = 10000;
  constexpr int kThreads = 8;
  constexpr int kPeersEach = 25;
  constexpr double kCommandsPerSecond = 1900;
  const double duration = options.full ? 45 : 10;
  Daemon daemon({.binary = options.binary, .milter = "max_connections = 12000", .rules = std::string(kQuota)});
  const double empty = daemon.resident_mib();
  std::vector<WireClient> idle;
  for (int i = 0; i < kIdle; ++i) idle.push_back(open_session(daemon.address()));
  const double with_idle = daemon.resident_mib();
  Latencies latencies;
  const double cpu = daemon.cpu_seconds();
  const auto start = now();
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&] {
      std::vector<WireClient> peers;
      for (int i = 0; i < kPeersEach; ++i) peers.push_back(open_session(daemon.address()));
      const std::chrono::duration<double> step(kThreads / kCommandsPerSecond);
      const std::array<std::string, 3> events = {mail_packet("<a@x.example>"), rcpt_packet("<r@x.example>"),
                                                 packet('E')};
      const auto begin = now();
      for (std::size_t i = 0; seconds_since(start) < duration; ++i) {
        std::this_thread::sleep_until(begin + std::chrono::duration_cast<std::chrono::nanoseconds>(step * i));
        const auto asked = now();
        const bool fine = peers[i / 3 % kPeersEach].ask(events[i % 3]).command == 'c';
        latencies.add(fine ? seconds_since(asked) * 1000 : 1e9);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto commands = static_cast<double>(latencies.count());
  report.measured("G21", fmt::format("p99, 10,000 idle and 200 active peers, {:.0f} commands/s", commands / duration),
                  latencies.percentile(99), 12, "ms");
  report.measured("G21", "CPU a command", (daemon.cpu_seconds() - cpu) / commands * 1000, 0.2, "ms");
  report.measured("G21", "memory in all", daemon.resident_mib(), 100, "MiB");
  report.measured("G21", "memory an idle connection", (with_idle - empty) * 1024 / kIdle, 4, "KiB");
}

}  // namespace replygate::test
