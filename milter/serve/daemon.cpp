#include "milter/serve/daemon.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <thread>

#include "milter/bounce/status_files.h"
#include "milter/door/delegation.h"
#include "milter/exit_status.h"
#include "milter/files.h"
#include "milter/log/say.h"
#include "milter/lookup/mailboxes.h"
#include "milter/net/listening.h"
#include "milter/net/socket_name.h"
#include "milter/outcome/gather_report.h"
#include "milter/outcome/outcome_place.h"
#include "milter/serve/control_server.h"
#include "milter/serve/http_server.h"
#include "milter/serve/outcome_trouble.h"
#include "milter/serve/service_manager.h"
#include "milter/store/open_store.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::chrono::milliseconds kStopPatience{8000};
constexpr std::chrono::milliseconds kAwaitPause{250};
constexpr std::chrono::milliseconds kNamePause{500};
constexpr std::chrono::seconds kMailPatience{10};

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

std::string without_it(const std::string& why) { return fmt::format("{}; trying again until it is free", why); }

}  // namespace

Daemon::Daemon(PolicyKeeper& keeper, const Clock& clock, Troubles& troubles)
    : keeper_(keeper),
      clock_(clock),
      troubles_(troubles),
      first_(keeper.current().get()),
      settings_(first_->settings()),
      references_(random_seed()) {}

Daemon::~Daemon() {
  recorder_.stop();
  if (outcomes_) outcomes_->stop();
}

tl::expected<std::unique_ptr<Daemon>, std::string> Daemon::open(PolicyKeeper& keeper, const Clock& clock,
                                                                Troubles& troubles) {
  std::unique_ptr<Daemon> daemon(new Daemon(keeper, clock, troubles));
  auto opened = daemon->open_records();
  if (opened) opened = daemon->open_store();
  if (opened) opened = daemon->open_outcomes();
  if (opened) opened = daemon->open_doors();
  if (opened) opened = daemon->open_services();
  if (opened) daemon->open_report();
  if (!opened) return tl::unexpected(opened.error());
  return daemon;
}

// Notes say whom they come from.
NotifySettings Daemon::notes_settings() const {
  NotifySettings notify = settings_.notify;
  if (notify.from.empty()) notify.from = fmt::format("replygate@{}", first_->site().default_domain);
  return notify;
}

tl::expected<void, std::string> Daemon::open_records() {
  auto sinks = LogSinks::open(settings_);
  if (!sinks) return tl::unexpected(sinks.error());
  sinks_ = *std::move(sinks);
  if (const std::string trouble = sinks_->trouble(); !trouble.empty()) say(fmt::format("[log] decisions: {}", trouble));
  recorder_.add(*sinks_);
  recorder_.add(statistics_);
  recorder_.add(rankings_);
  recorder_.add(tail_);
  const bool named = !settings_.history.path.empty();
  if (settings_.history.records > 0 && (named || look_for(keeper_.folder()) != Presence::absent)) {
    const std::string folder = named ? settings_.history.path : keeper_.folder() + "/history";
    auto history = History::open(folder, settings_.history, troubles_);
    if (!history && named) return tl::unexpected("history: " + history.error());
    if (!history) {
      troubles_.tell("history", {fmt::format("history: {}; `why` will not know past decisions", history.error())});
    }
    if (history) {
      history_ = *std::move(history);
      history_folder_ = folder;
      recorder_.add(*history_);
    }
  }
  if (settings_.notify.nobody()) return {};
  const NotifySettings notify = notes_settings();
  notifier_ = std::make_unique<Notifier>(notify, note_carriers(notify, own_), health_);
  if (look_for(keeper_.folder()) != Presence::absent) notifier_->keep_told(keeper_.folder() + "/notes-told.json");
  notifier_->on_trouble([this](const std::string& why) { troubles_.tell("notify", {why}); });
  recorder_.add(*notifier_);
  return {};
}

tl::expected<void, std::string> Daemon::open_outcomes() {
  const OutcomeSettings& settings = settings_.outcomes;
  if (settings.log.empty()) return {};
  const std::string& folder = keeper_.folder();
  const std::string path = settings.path.empty() ? folder + "/outcomes.db" : settings.path;
  auto outcomes = OutcomeReader::open(settings, path,
                                      {clock_, recorder_, troubles_, *store_, health_, keeper_.current(), references_});
  if (!outcomes) {
    const bool unnamed = settings.path.empty() && ::access(folder.c_str(), W_OK) != 0;
    return tl::unexpected(fmt::format("outcomes: {}{}", outcomes.error(), unnamed ? "; " + help_for_outcomes() : ""));
  }
  outcomes_ = *std::move(outcomes);
  recorder_.add(*outcomes_);
  outcomes_->add(outcome_statistics_);
  chronicle_ = std::make_unique<OutcomeChronicle>(history_.get(), tail_);
  outcomes_->add(*chronicle_);
  if (!notifier_) return {};
  notifier_->watch({"outcomes of mail are not counted", "outcomes of mail are counted again",
                    [this] { return lasting_outcome_trouble(troubles_); }});
  watch_ = std::make_unique<OutcomeWatch>([this](NotifySettings::Event event, const std::string& key,
                                                 const auto& make) { notifier_->tell_admins(event, key, make); });
  outcomes_->add(*watch_);
  return {};
}

// Sockets were handed over: a daemon that has served from them may still be about to end. Without that, whatever is in
// use is in use by a second daemon, by mistake.
bool Daemon::takes_over() const {
  return std::ranges::all_of(settings_.listen, [](const std::string& at) {
    return handed_over(SocketAddress::parse(at).value()).family == SocketAddress::Family::descriptor;
  });
}

tl::expected<void, std::string> Daemon::open_store() {
  const Duration patience = takes_over() ? settings_.bounds.drain + kStopPatience : Duration{};
  auto store = replygate::open_store(settings_.store, clock_, health_, patience);
  if (!store) return tl::unexpected(store.error());
  store_ = *std::move(store);
  lookups_ = std::make_unique<LiveSources>(troubles_);
  gate_ = std::make_unique<Gate>(*store_, nullptr, lookups_.get());
  auto mailboxes = open_mailboxes(settings_.mailbox, troubles_);
  if (!mailboxes) return tl::unexpected(mailboxes.error());
  mailboxes_ = *std::move(mailboxes);
  return {};
}

tl::expected<void, std::string> Daemon::open_doors() {
  const DoorServices services{
      first_,      *gate_,           recorder_,
      references_, clock_,           traffic_,
      times_,      mailboxes_.get(), &keeper_.current(),
      &own_,       &troubles_,       outcomes_ == nullptr ? nullptr : &outcomes_->dead_addresses()};
  if (!settings_.policy_service.empty()) {
    const auto opened = have(
        [this, services]() -> tl::expected<void, std::string> {
          auto door =
              open_delegation_door(handed_over(SocketAddress::parse(settings_.policy_service).value()), services);
          return serve_from(std::move(door), delegation_);
        },
        true);
    if (!opened) return opened;
  }
  auto milter = open_milter_door(services);
  if (!milter) return tl::unexpected(milter.error());
  milter_ = *std::move(milter);
  return {};
}

// What somebody else still has: a predecessor that is about to end, if sockets were handed over. Mail does not wait for
// it.
tl::expected<void, std::string> Daemon::have(Opener open, bool needed) {
  auto opened = open();
  if (opened) return {};
  if (needed && !takes_over()) return opened;
  troubles_.tell("services", {without_it(opened.error())});
  awaited_.push_back(std::move(open));
  return {};
}

tl::expected<void, std::string> Daemon::serve_from(tl::expected<std::unique_ptr<StreamServer>, std::string> opened,
                                                   std::unique_ptr<StreamServer>& place) {
  if (!opened) return tl::unexpected(opened.error());
  place = *std::move(opened);
  if (started_) place->start();
  return {};
}

void Daemon::look_for_awaited() {
  std::vector<std::string> missing;
  std::erase_if(awaited_, [&missing](const Opener& open) {
    const auto opened = open();
    if (!opened) missing.push_back(without_it(opened.error()));
    return opened.has_value();
  });
  troubles_.tell("services", std::move(missing));
}

void Daemon::open_report() {
  if (settings_.report.to.empty()) return;
  NotifySettings mail = notes_settings();
  mail.to = settings_.report.to;
  const auto write = [folder = history_folder_, log = settings_.outcomes.log](Instant since,
                                                                              const std::function<void()>& go_on) {
    const ReportSources sources{folder, log.empty() ? std::vector<std::string>() : with_rotated(log, since)};
    return write_report(sources, kStatusFolder, since, host_name(), [&](const LogProgress&) { go_on(); });
  };
  const bool kept = look_for(keeper_.folder()) != Presence::absent;
  report_ = std::make_unique<ReportMailer>(settings_.report, kept ? keeper_.folder() + "/report-until" : "", write,
                                           mail_carrier(mail, own_, kMailPatience), clock_, troubles_);
}

// Without a control socket mail flows all the same: only one that the policy names must be had, or be had soon.
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
                                      .recorder = recorder_,
                                      .sinks = *sinks_,
                                      .troubles = troubles_,
                                      .history = history_.get(),
                                      .notifier = notifier_.get(),
                                      .outcomes = outcomes_.get(),
                                      .outcome_statistics = &outcome_statistics_,
                                      .lookups = lookups_.get(),
                                      .started = clock_.now()});
  const std::string address = settings_.control.empty() ? default_control_socket() : settings_.control;
  if (!address.empty()) {
    const auto open = [this, address] { return serve_from(open_control_server(address, *desk_), control_); };
    if (auto opened = have(open, !settings_.control.empty()); !opened) return opened;
  }
  if (settings_.metrics.empty()) return {};
  return have([this] { return serve_from(open_http_server(settings_.metrics, *desk_), http_); }, true);
}

// libmilter binds its socket once.
void Daemon::look_at_names() {
  if (settings_.engine != Engine::libmilter) return;
  const SocketName name(SocketAddress::parse(settings_.listen.front()).value());
  names_ = std::make_unique<Ticker>("milter", kNamePause, [this, name, at = settings_.listen.front()] {
    troubles_.tell(fmt::format("{}{}", kOfMilter, at),
                   {name.lost() ? at + " was removed, and nobody gets to it: systemctl restart replygate" : ""});
  });
}

void Daemon::start() {
  keeper_.tell([this] {
    lookups_->keep(*keeper_.current().get());
    tell_state();
  });
  recorder_.start();
  if (notifier_) notifier_->start();
  if (outcomes_) outcomes_->start();
  if (report_) report_->start();
  if (delegation_) delegation_->start();
  keeper_.start();
  if (control_) control_->start();
  if (http_) http_->start();
  started_ = true;
  look_at_names();
  if (awaited_.empty()) return;
  await_ = std::make_unique<Ticker>("services", kAwaitPause, [this] { look_for_awaited(); });
}

void Daemon::tell_state() const {
  const PolicyKeeper::State state = keeper_.state();
  const auto policy = keeper_.current().get();
  tell_manager(fmt::format("STATUS={}policy {} with {}{}", state.last_good ? "the last good policy serves: " : "",
                           policy->id(), counted(policy->named_rules(), "rule"),
                           state.trouble.empty() ? "" : "; the file is invalid: " + state.trouble));
}

void Daemon::reload() {
  const PolicyKeeper::Outcome outcome = keeper_.reload();
  std::fputs(outcome.message.c_str(), stderr);
  say(fmt::format("SIGHUP: {}; policy {}", outcome.taken ? "reloaded" : "the policy is invalid and was not loaded",
                  outcome.id));
  if (!outcome.waiting.empty())
    say(fmt::format("changed, and in force after a restart: {}", fmt::join(outcome.waiting, ", ")));
}

void Daemon::wait_for_stop(SignalQueue& signals) {
  while (signals.next() == SIGHUP) guarded("reload", [this] { reload(); });
}

int Daemon::serve() {
  SignalQueue signals;
  start();
  std::atomic<bool> good = true;
  milter_->start([&good, main_thread = pthread_self()](bool well) {
    good = well;
    pthread_kill(main_thread, SIGTERM);
  });
  say(fmt::format("policy {} with {}; milter at {} on {}{}", first_->id(), counted(first_->named_rules(), "rule"),
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
  lookups_->end();
  const bool ended = milter_->stop();
  await_.reset();
  names_.reset();
  if (delegation_) delegation_->stop();
  if (outcomes_) outcomes_->refuse_tasks();
  if (control_) control_->stop();
  if (http_) http_->stop();
  keeper_.stop();
  recorder_.stop();
  if (outcomes_) outcomes_->stop();
  if (notifier_) notifier_->stop();
  if (report_) report_->stop();
  sinks_->close();
  if (history_) history_->close();
  const int status = good ? kFine : kUnavailable;
  if (!ended) std::_Exit(status);
  return status;
}

}  // namespace replygate
