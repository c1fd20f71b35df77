// Servers that die, and networks that lose what one of both says: fail-over (G12), and partial partitions (G8, G12).

#include <fcntl.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "tests/fault/goals.h"
#include "tests/fault/nodes.h"
#include "tests/support/eventually.h"
#include "tests/support/redis_server.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

bool runs(const std::string& command) {
  const int status = std::system((command + " 2>/dev/null").c_str());
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A network name space at the far end of a cable, which loses in each direction what it is told to. Needs root.
class Island {
 public:
  explicit Island(int number)
      : name_(fmt::format("rg{}-{}", ::getpid() % 100000, number)), net_(fmt::format("10.213.{}", number)) {
    const bool made = runs(fmt::format("ip netns add {}", name_)) &&
                      runs(fmt::format("ip link add {0} type veth peer name {0}i netns {0}", name_)) &&
                      runs(fmt::format("ip addr add {}.1/24 dev {}", net_, name_)) &&
                      runs(fmt::format("ip link set {} up", name_)) &&
                      runs(fmt::format("ip -n {0} addr add {1}.2/24 dev {0}i", name_, net_)) &&
                      runs(fmt::format("ip -n {0} link set {0}i up", name_)) &&
                      runs(fmt::format("ip -n {} route add default via {}.1", name_, net_));
    if (!made) throw std::runtime_error("no network name space can be had");
  }
  ~Island() {
    runs(fmt::format("ip link del {}", name_));
    runs(fmt::format("ip netns del {}", name_));
  }
  Island(const Island&) = delete;
  Island& operator=(const Island&) = delete;

  std::string host() const { return net_ + ".2"; }
  // Beside its own thread, whoever is started by it lives there.
  template <typename Start>
  void inside(Start start) const {
    const int home = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    const int there = ::open(("/var/run/netns/" + name_).c_str(), O_RDONLY | O_CLOEXEC);
    const bool moved = ::setns(there, CLONE_NEWNET) == 0;
    if (moved) start();
    const bool back = !moved || ::setns(home, CLONE_NEWNET) == 0;
    ::close(there);
    ::close(home);
    if (!moved || !back) throw std::system_error(errno, std::generic_category(), "setns");
  }
  void lose_requests() const { runs(fmt::format("tc qdisc add dev {} root blackhole", name_)); }
  void lose_answers() const { runs(fmt::format("tc -n {0} qdisc add dev {0}i root blackhole", name_)); }
  void heal() const {
    runs(fmt::format("tc qdisc del dev {} root", name_));
    runs(fmt::format("tc -n {0} qdisc del dev {0}i root", name_));
  }

 private:
  const std::string name_;
  const std::string net_;
};

bool has_islands() { return ::geteuid() == 0 && runs("ip netns add rg-try") && runs("ip netns del rg-try"); }

constexpr std::string_view kPort = "6391";

std::unique_ptr<RedisServer> server_on(const Island& island, std::vector<std::string> more = {}) {
  std::vector<std::string> settings = {"--port", std::string(kPort), "--bind", "0.0.0.0", "--protected-mode", "no"};
  settings.insert(settings.end(), more.begin(), more.end());
  std::unique_ptr<RedisServer> server;
  island.inside([&] { server = std::make_unique<RedisServer>(settings); });
  return server;
}

std::string address_of(const Island& island) { return fmt::format("inet:{}@{}", kPort, island.host()); }

void wait_for_link(const RedisServer& replica) {
  while (replica.ask({"INFO", "replication"}).find("master_link_status:up") == std::string::npos) {
    std::this_thread::sleep_for(milliseconds(10));
  }
}

// Counts on four threads, as fast as it can.
class Load {
 public:
  explicit Load(Node& node) {
    for (int t = 0; t < 4; ++t) {
      threads_.emplace_back([this, &node] {
        while (!stop_) {
          if (answered(node.take(one_of("q", 1'000'000'000)))) {
            ++counted;
          } else {
            std::this_thread::sleep_for(milliseconds(1));
          }
        }
      });
    }
  }
  ~Load() { stop(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;
  std::int64_t stop() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    return counted;
  }

  std::atomic<std::int64_t> counted{0};

 private:
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

struct Loss {
  std::int64_t acknowledged = 0;
  std::int64_t lost = 0;
  double back = 0;  // seconds until the other server counts
};

// The primary is cut off from its replica, and a moment later from us, while the replica is promoted.
Loss cut_off(int round, std::int64_t replicas, milliseconds between) {
  const Island left(2 * round + 1);
  const Island right(2 * round + 2);
  runs("sysctl -qw net.ipv4.ip_forward=1");
  const auto primary = server_on(left);
  const auto replica =
      server_on(right, {"--replicaof", left.host(), std::string(kPort), "--repl-diskless-sync-delay", "0"});
  wait_for_link(*replica);
  Node node({address_of(left), address_of(right)}, milliseconds(200), replicas);
  Load load(node);
  std::this_thread::sleep_for(milliseconds(300));
  replica->ask({"REPLICAOF", "NO", "ONE"});
  std::this_thread::sleep_for(between);
  left.lose_requests();
  left.lose_answers();
  const auto begin = now();
  const std::int64_t before = load.counted;
  // One that has no replica itself acknowledges nothing where a replica is wanted.
  const auto reached = [&] {
    const auto failures = node.health.state().failures;
    return std::ranges::any_of(failures, [](const auto& f) { return f.first.starts_with("0 of 1 replicas"); });
  };
  eventually([&] { return replicas > 0 ? reached() : load.counted > before + 100; });
  Loss loss{.acknowledged = load.stop(), .lost = 0, .back = seconds_since(begin)};
  Node after({address_of(right)}, milliseconds(500));
  loss.lost = std::max<std::int64_t>(loss.acknowledged - after.used("q"), 0);
  return loss;
}

}  // namespace

void fail_over(const GoalOptions& options, Report& report) {
  const int rounds = options.full ? 20 : 2;
  std::int64_t acknowledged = 0;
  std::int64_t lost = 0;
  for (int round = 0; round < rounds; ++round) {
    const std::string port = std::to_string(21000 + (::getpid() + round) % 10000);
    RedisServer primary({"--port", port});
    const RedisServer replica({"--port", "0", "--replicaof", "127.0.0.1", port, "--repl-diskless-sync-delay", "0"});
    wait_for_link(replica);
    Node node({primary.address(), replica.address()}, milliseconds(200), 1);
    Load load(node);
    std::this_thread::sleep_for(milliseconds(300));
    primary.kill();
    replica.ask({"REPLICAOF", "NO", "ONE"});
    const std::int64_t counted = load.stop();
    Node after({replica.address()}, milliseconds(500));
    lost += std::max<std::int64_t>(counted - after.used("q"), 0);
    acknowledged += counted;
  }
  report.exactly("G12", fmt::format("of {} acknowledged, lost in {} fail-overs", acknowledged, rounds), lost, 0);
}

void partitions(const GoalOptions& options, Report& report) {
  if (!has_islands()) return report.left_out("G12", "partitions need root and network name spaces");
  const int rounds = options.full ? 5 : 1;
  Loss sure;
  Loss quick;
  for (int round = 0; round < rounds; ++round) {
    const Loss waiting = cut_off(round, 1, milliseconds(200));
    sure.acknowledged += waiting.acknowledged;
    sure.lost += waiting.lost;
    const Loss alone = cut_off(round, 0, milliseconds(200));
    quick.acknowledged += alone.acknowledged;
    quick.lost += alone.lost;
    quick.back = std::max(quick.back, alone.back);
  }
  report.exactly("G12", fmt::format("of {} acknowledged, lost in {} partitions", sure.acknowledged, rounds), sure.lost,
                 0);
  report.measured("G12", "until the promoted replica counts, at the most", quick.back, 3, "s");
  // What the old primary goes on to acknowledge is lost: so many in 200 ms and until it is left.
  report.at_most("G12", fmt::format("of {} acknowledged without wait_replicas, lost", quick.acknowledged),
                 static_cast<double>(quick.lost), static_cast<double>(quick.acknowledged), "");
}

void partial_partitions(const GoalOptions& options, Report& report) {
  if (!has_islands()) return report.left_out("G8", "partial partitions need root and network name spaces");
  const Island island(1);
  const auto server = server_on(island);
  for (const bool requests : {true, false}) {
    const std::string_view what = requests ? "requests are lost" : "answers are lost";
    const std::string key(what);  // TCP may bring what was lost before long after
    Node node({address_of(island)}, milliseconds(50));
    Node other({server->address()}, milliseconds(50));
    requests ? island.lose_requests() : island.lose_answers();
    const auto begin = now();
    Latencies times;
    std::int64_t shared = 0;
    std::int64_t elsewhere = 0;
    std::int64_t asked_elsewhere = 0;
    while (seconds_since(begin) < (options.full ? 15 : 1)) {
      const auto from = now();
      shared += answered(node.take(one_of(key, 1'000'000'000))) ? 1 : 0;
      times.add(seconds_since(from) * 1000);
      elsewhere += answered(other.take(one_of(key, 1'000'000'000))) ? 1 : 0;
      ++asked_elsewhere;
      std::this_thread::sleep_for(milliseconds(1));
    }
    island.heal();
    const bool back = eventually([&] { return answered(node.take(one_of("back", 1'000'000'000))); });
    report.exactly("G8", fmt::format("{}: decisions of the server", what), shared, 0);
    report.measured("G8", fmt::format("{}: p99 of {} decisions", what, times.count()), times.percentile(99), 75, "ms");
    report.exactly("G8", fmt::format("{}: not answered of {} of another host", what, asked_elsewhere),
                   asked_elsewhere - elsewhere, 0);
    report.exactly("G8", fmt::format("{}: not back after it", what), back ? 0 : 1, 0);
    report.at_most("G8", fmt::format("{}: counted and not acknowledged", what),
                   static_cast<double>(node.used(key) - elsewhere), 10, "");
  }
}

}  // namespace replygate::test
