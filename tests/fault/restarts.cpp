#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <system_error>
#include <thread>

#include "milter/json_members.h"
#include "milter/net/local_peer.h"
#include "milter/serve/control_client.h"
#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"
#include "tests/support/folder.h"
#include "tests/support/redis_server.h"

namespace replygate::test {
namespace {

struct Tally {
  std::atomic<bool> stop = false;
  std::atomic<long> refused = 0;    // connects
  std::atomic<long> cut = 0;        // transactions
  std::atomic<long> deferred = 0;   // transactions that were not begun: 421, or the session closed before
  std::atomic<long> completed = 0;  // transactions
};

void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

// False where the session is over.
bool transaction(WireClient& mta, Tally& tally) {
  const Heard mail = mta.ask(mail_packet("<a@x.example>"));
  if (mail.command != 'c') {
    ++tally.deferred;
    return false;
  }
  for (const std::string& event : {rcpt_packet("<r@x.example>"), packet('E')}) {
    pause();
    if (mta.ask(event).command == 'c') continue;
    ++tally.cut;
    return false;
  }
  ++tally.completed;
  return true;
}

void peer(const std::string& address, Tally& tally) {
  while (!tally.stop) try {
      WireClient mta(address);
      if (mta.ask(negotiation(6, 0x1ff, 0)).command != 'O' || mta.ask(connect_packet("192.0.2.1")).command != 'c') {
        ++tally.deferred;
        continue;
      }
      for (int message = 0; message < 10 && transaction(mta, tally); ++message) pause();
      mta.send(packet('Q'));
    } catch (const std::system_error&) {
      ++tally.refused;
    }
}

// Who answers at the control socket; 0: nobody does.
pid_t commanded(const std::string& folder) {
  const auto client = ControlClient::connect(folder + "/control.sock");
  if (!client) return 0;
  const auto answer = (*client)->ask({{"command", "status"}});
  return answer ? static_cast<pid_t>(number_at(object_at(*answer, "result"), "pid")) : 0;
}

// The successor serves while the predecessor still has what has one owner, and takes it over.
long not_taken_over(const GoalOptions& options, const std::string& store) {
  const Folder folder;
  const int listening = listen_unix(folder.file("milter.sock"));
  const std::string rules = fmt::format(
      "[control]\nlisten = \"unix:{0}/control.sock\"\n[metrics]\nlisten = \"unix:{0}/metrics.sock\"\n"
      "[policy_service]\nlisten = \"unix:{0}/policy.sock\"\n",
      folder.path().string());
  const Daemon::Options with{.binary = options.binary,
                             .milter = "drain_timeout = \"1s\"",
                             .rules = rules,
                             .listen = listening,
                             .store = store};
  Daemon first(with);
  Daemon second(with);  // throws where it does not come up
  long missing = commanded(folder.path()) == first.pid() ? 0 : 1;
  first.terminate();
  first.wait();
  const auto begin = now();
  while (commanded(folder.path()) != second.pid() && seconds_since(begin) < 10) pause();
  missing += commanded(folder.path()) == second.pid() ? 0 : 1;
  for (const char* name : {"metrics.sock", "policy.sock"}) {
    const SocketAddress address = SocketAddress::parse("unix:" + folder.file(name)).value();
    while (may_listen_on(address) && seconds_since(begin) < 10) pause();
    missing += may_listen_on(address) ? 1 : 0;
  }
  ::close(listening);
  return missing;
}

}  // namespace

// By turns the successor starts when the predecessor is told to stop, and when it has ended (as a service manager
// does).
void restarts(const GoalOptions& options, Report& report) {
  const int rounds = options.full ? 100 : 10;
  const std::string path = "/tmp/replygate-restarts." + std::to_string(::getpid());
  std::filesystem::remove(path);
  const int listening = listen_unix(path);
  const auto start = [&] {
    return std::make_unique<Daemon>(
        Daemon::Options{.binary = options.binary, .milter = "", .rules = "", .listen = listening});
  };
  auto daemon = start();
  Tally tally;
  std::vector<std::thread> peers;
  for (int i = 0; i < 200; ++i) peers.emplace_back(peer, "unix:" + path, std::ref(tally));
  long failed = 0;
  double longest = 0;
  for (int round = 0; round < rounds; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    const auto begin = now();
    daemon->terminate();
    if (round % 2 == 0) {
      auto successor = start();
      failed += static_cast<long>(daemon->wait() != 0);
      longest = std::max(longest, seconds_since(begin));
      daemon = std::move(successor);
    } else {
      failed += static_cast<long>(daemon->wait() != 0);
      longest = std::max(longest, seconds_since(begin));
      daemon = start();
    }
  }
  tally.stop = true;
  for (std::thread& thread : peers) thread.join();
  ::close(listening);
  std::filesystem::remove(path);
  report.exactly("G5", fmt::format("refused connects in {} restarts, 200 peers", rounds), tally.refused, 0);
  report.exactly("G5", fmt::format("transactions cut of {}", tally.completed.load()), tally.cut, 0);
  const double all = static_cast<double>(tally.completed + tally.deferred);
  report.at_most("G5", "transactions deferred", 100.0 * static_cast<double>(tally.deferred) / all, 0.1, "%");
  report.measured("G5", "longest stop", longest, 10, "s");
  report.exactly("G5", "daemons that did not end well", failed, 0);
  report.exactly("G5", "sockets that no successor took over, memory", not_taken_over(options, "backend = \"memory\""),
                 0);
  const RedisServer redis;
  report.exactly("G5", "the same, redis",
                 not_taken_over(options, fmt::format("backend = \"redis\"\nservers = [\"{}\"]", redis.address())), 0);
}

}  // namespace replygate::test
