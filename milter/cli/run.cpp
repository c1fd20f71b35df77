#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "milter/cli/commands.h"
#include "milter/cli/load_failure.h"
#include "milter/cli/test_report.h"
#include "milter/door/delegation.h"
#include "milter/door/door.h"
#include "milter/last_good.h"
#include "milter/log/say.h"
#include "milter/log/sinks.h"
#include "milter/lookup/list_watch.h"
#include "milter/lookup/mailboxes.h"
#include "milter/store/open_store.h"

namespace replygate {
namespace {

constexpr std::chrono::milliseconds kStopPatience{8000};

// SIGPIPE and SIGXFSZ are ignored: a log's reader that goes away, or a file that may not grow, is an error of a write,
// not the end of the process.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  return set;
}

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) std::abort();
  return seed;
}

// Waits for a signal to stop; a hang-up changes nothing.
int wait_for_stop(const sigset_t& signals) {
  for (int number = 0;;) {
    sigwait(&signals, &number);
    if (number != SIGHUP) return number;
    say("SIGHUP: a changed policy is taken at the next start");
  }
}

// libmilter may fail to return from its main loop; a process that should stop must not linger.
void exit_after(std::chrono::milliseconds patience) {
  std::thread([patience] {
    std::this_thread::sleep_for(patience);
    say("stopping took too long; exiting");
    std::_Exit(kInternal);
  }).detach();
}

// `lists` may be null: nothing is watched.
int serve(const std::shared_ptr<const Policy>& policy, ListWatch* lists, const sigset_t& signals) {
  const Settings& settings = policy->settings();
  auto sinks = LogSinks::open(settings);
  if (!sinks) {
    say(sinks.error());
    return kUnavailable;
  }
  const Clock clock;
  StoreHealth health;
  // Who takes over handed sockets waits for the counters, too; who does not is a second daemon by mistake.
  const bool takes_over = std::ranges::all_of(settings.listen, [](const auto& at) { return at.starts_with("fd:"); });
  auto store =
      open_store(settings.store, clock, health, takes_over ? settings.bounds.drain + kStopPatience : Duration{});
  if (!store) {
    say(store.error());
    return kUnavailable;
  }
  Gate gate(**store);
  References references(random_seed());
  auto mailboxes = open_mailboxes(settings.mailbox);
  if (!mailboxes) {
    say(mailboxes.error());
    return kUnavailable;
  }
  CurrentPolicy current(policy);
  const DoorServices services{policy, gate, **sinks, references, clock, mailboxes->get(), &current};

  std::unique_ptr<DelegationDoor> delegation;
  if (!settings.policy_service.empty()) {
    auto opened = DelegationDoor::open(SocketAddress::parse(settings.policy_service).value(), services);
    if (!opened) {
      say(opened.error());
      return kUnavailable;
    }
    delegation = *std::move(opened);
  }
  auto milter = open_milter_door(services);
  if (!milter) {
    say(milter.error());
    return kUnavailable;
  }
  if (delegation) delegation->start();
  if (lists != nullptr) lists->start(current);
  std::atomic<bool> good = true;
  (*milter)->start([&good, main_thread = pthread_self()](bool well) {
    good = well;
    pthread_kill(main_thread, SIGTERM);
  });
  say(fmt::format("policy {} with {} rules; milter at {} on {}{}", policy->id(), policy->named_rules(),
                  fmt::join(settings.listen, ", "), to_string(settings.engine),
                  settings.policy_service.empty() ? "" : ", policy service at " + settings.policy_service));
  wait_for_stop(signals);
  say("stopping");
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(settings.bounds.drain);
  exit_after(patience + kStopPatience);
  (*milter)->drain(patience);
  const bool ended = (*milter)->stop();
  if (delegation) delegation->stop();
  if (lists != nullptr) lists->stop();
  (*sinks)->close();
  const int status = good ? kFine : kUnavailable;
  if (!ended) std::_Exit(status);
  return status;
}

}  // namespace

int run_command(const RunOptions& options) {
  ListWatch lists(options.file);
  const Loaded loaded = lists.load();
  print_diagnostics(loaded.diagnostics, loaded.sources);
  const TestReport tests = loaded.ok() ? run_tests(loaded.policy, loaded.tests) : TestReport();
  if (loaded.ok() && tests.passed()) {
    if (auto kept = keep_last_good(state_folder(), options.file, lists.texts()); !kept) say(kept.error());
    return serve(loaded.policy, &lists, block_signals());
  }
  if (loaded.ok()) print_failures(tests);
  const std::string_view what = loaded.ok() ? "tests of the policy fail" : "the policy is in error";
  if (const auto last_good = load_last_good(state_folder(), options.file)) {
    say(fmt::format("{}: {}; the last good one serves, with its lists as they were, policy {}", options.file, what,
                    last_good->policy->id()));
    return serve(last_good->policy, nullptr, block_signals());
  }
  say(fmt::format("{}: {}; nothing is started", options.file, what));
  return loaded.ok() ? kPolicyError : status_of_failure(loaded.diagnostics);
}

}  // namespace replygate
