#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <system_error>
#include <thread>

#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"

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
}

}  // namespace replygate::test
