#include "milter/serve/daemon.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "milter/door/listening.h"
#include "milter/exit_status.h"
#include "milter/last_good.h"
#include "milter/log/say.h"
#include "milter/lookup/mailboxes.h"
#include "milter/serve/service_manager.h"
#include "milter/store/open_store.h"

namespace replygate {
namespace {

constexpr std::chrono::milliseconds kStopPatience{8000};

std::uint64_t random_seed() {
  std::uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed) std::abort();
  return seed;
}

// libmilter may fail to return from its main loop; a process that should stop must not linger.
void exit_after(std::chrono::milliseconds patience) {
  std::thread([patience] {
    std::this_thread::sleep_for(patience);
    say("stopping took too long; exiting");
    std::_Exit(kInternal);
  }).detach();
}

// Where systemd, or the admin, has a place for sockets; "" where there is none.
std::string default_control_socket() {
  const char* folder = ::secure_getenv("RUNTIME_DIRECTORY");
  if (folder != nullptr) return fmt::format("unix:{}/control.sock", folder);
  return "";
}

}  // namespace

Daemon::Daemon(PolicyKeeper& keeper, const Clock& clock)
    : keeper_(keeper),
      clock_(clock),
      first_(keeper.current().get()),
      settings_(first_->settings()),
      references_(random_seed()) {}

Daemon::~Daemon() = default;

tl::expected<std::unique_ptr<Daemon>, std::string> Daemon::open(PolicyKeeper& keeper, const Clock& clock) {
  std::unique_ptr<Daemon> daemon(new Daemon(keeper, clock));
  auto opened = daemon->open_records();
  if (opened) opened = daemon->open_store();
  if (opened) opened = daemon->open_doors();
  if (opened) opened = daemon->open_services();
  if (!opened) return tl::unexpected(opened.error());
  return daemon;
}

tl::expected<void, std::string> Daemon::open_records() {
  auto sinks = LogSinks::open(settings_);
  if (!sinks) return tl::unexpected(sinks.error());
  sinks_ = *std::move(sinks);
  recorder_.add(*sinks_);
  recorder_.add(statistics_);
  recorder_.add(rankings_);
  recorder_.add(tail_);
  const bool named = !settings_.history.path.empty();
  if (settings_.history.records > 0 && (named || std::filesystem::is_directory(state_folder()))) {
    auto history = History::open(named ? settings_.history.path : state_folder() + "/history", settings_.history);
    if (!history && named) return tl::unexpected("history: " + history.error());
    if (!history) say(fmt::format("history: {}; `why` will not know past decisions", history.error()));
    if (history) {
      history_ = *std::move(history);
      recorder_.add(*history_);
    }
  }
  if (settings_.notify.nobody()) return {};
  NotifySettings notify = settings_.notify;
  if (notify.from.empty()) notify.from = fmt::format("replygate@{}", first_->site().default_domain);
  notifier_ = std::make_unique<Notifier>(notify, note_carriers(notify), health_);
  recorder_.add(*notifier_);
  return {};
}

tl::expected<void, std::string> Daemon::open_store() {
  // Who takes over handed sockets waits for the counters, too; who does not is a second daemon by mistake.
  const bool takes_over = std::ranges::all_of(settings_.listen, [](const std::string& at) {
    return handed_over(SocketAddress::parse(at).value()).family == SocketAddress::Family::descriptor;
  });
  const Duration patience = takes_over ? settings_.bounds.drain + kStopPatience : Duration{};
  auto store = replygate::open_store(settings_.store, clock_, health_, patience);
  if (!store) return tl::unexpected(store.error());
  store_ = *std::move(store);
  gate_ = std::make_unique<Gate>(*store_);
  auto mailboxes = open_mailboxes(settings_.mailbox);
  if (!mailboxes) return tl::unexpected(mailboxes.error());
  mailboxes_ = *std::move(mailboxes);
  return {};
}

tl::expected<void, std::string> Daemon::open_doors() {
  const DoorServices services{first_,   *gate_, recorder_,        references_,       clock_,
                              traffic_, times_, mailboxes_.get(), &keeper_.current()};
  if (!settings_.policy_service.empty()) {
    auto opened = DelegationDoor::open(SocketAddress::parse(settings_.policy_service).value(), services);
    if (!opened) return tl::unexpected(opened.error());
    delegation_ = *std::move(opened);
  }
  auto milter = open_milter_door(services);
  if (!milter) return tl::unexpected(milter.error());
  milter_ = *std::move(milter);
  return {};
}

// Without a control socket mail flows all the same: only one that the policy names must be had.
tl::expected<void, std::string> Daemon::open_services() {
  desk_ = std::make_unique<Desk>(Desk{.settings = settings_,
                                      .keeper = keeper_,
                                      .store = *store_,
                                      .health = health_,
                                      .clock = clock_,
                                      .traffic = traffic_,
                                      .times = times_,
                                      .statistics = statistics_,
                                      .rankings = rankings_,
                                      .tail = tail_,
                                      .sinks = *sinks_,
                                      .history = history_.get(),
                                      .notifier = notifier_.get(),
                                      .started = clock_.now()});
  const std::string address = settings_.control.empty() ? default_control_socket() : settings_.control;
  if (!address.empty()) {
    auto control = ControlServer::open(address, *desk_);
    if (!control && !settings_.control.empty()) return tl::unexpected(control.error());
    if (!control) say(fmt::format("{}; there is no control socket", control.error()));
    if (control) control_ = *std::move(control);
  }
  if (settings_.metrics.empty()) return {};
  auto http = HttpServer::open(settings_.metrics, *desk_);
  if (!http) return tl::unexpected(http.error());
  http_ = *std::move(http);
  return {};
}

void Daemon::start() {
  keeper_.tell([this] { tell_state(); });
  if (notifier_) notifier_->start();
  if (delegation_) delegation_->start();
  keeper_.start();
  if (control_) control_->start();
  if (http_) http_->start();
}

void Daemon::tell_state() const {
  const PolicyKeeper::State state = keeper_.state();
  const auto policy = keeper_.current().get();
  tell_manager(fmt::format("STATUS={}policy {} with {} rules{}", state.last_good ? "the last good policy serves: " : "",
                           policy->id(), policy->named_rules(),
                           state.trouble.empty() ? "" : "; the file is in error: " + state.trouble));
}

void Daemon::reload() {
  const PolicyKeeper::Outcome outcome = keeper_.reload();
  std::fputs(outcome.message.c_str(), stderr);
  say(fmt::format("SIGHUP: {}; policy {}", outcome.taken ? "reloaded" : "the policy is in error and was not taken",
                  outcome.id));
  if (!outcome.waiting.empty())
    say(fmt::format("changed, and taken at the next start: {}", fmt::join(outcome.waiting, ", ")));
}

void Daemon::wait_for_stop(const sigset_t& signals) {
  for (int number = 0;;) {
    sigwait(&signals, &number);
    if (number != SIGHUP) return;
    reload();
  }
}

int Daemon::serve(const sigset_t& signals) {
  start();
  std::atomic<bool> good = true;
  milter_->start([&good, main_thread = pthread_self()](bool well) {
    good = well;
    pthread_kill(main_thread, SIGTERM);
  });
  say(fmt::format("policy {} with {} rules; milter at {} on {}{}", first_->id(), first_->named_rules(),
                  fmt::join(settings_.listen, ", "), to_string(settings_.engine),
                  settings_.policy_service.empty() ? "" : ", policy service at " + settings_.policy_service));
  tell_state();
  tell_manager("READY=1");
  {
    const Watchdog watchdog(*milter_);
    wait_for_stop(signals);
  }
  say("stopping");
  tell_manager("STOPPING=1");
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(settings_.bounds.drain);
  exit_after(patience + kStopPatience);
  milter_->drain(patience);
  const bool ended = milter_->stop();
  if (delegation_) delegation_->stop();
  if (control_) control_->stop();
  if (http_) http_->stop();
  keeper_.stop();
  if (notifier_) notifier_->stop();
  sinks_->close();
  if (history_) history_->close();
  const int status = good ? kFine : kUnavailable;
  if (!ended) std::_Exit(status);
  return status;
}

}  // namespace replygate
