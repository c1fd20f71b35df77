#pragma once

#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "milter/door/door.h"
#include "milter/guarded.h"
#include "milter/log/history.h"
#include "milter/log/recorder.h"
#include "milter/log/sinks.h"
#include "milter/lookup/live_sources.h"
#include "milter/net/stream_server.h"
#include "milter/outcome/outcome_reader.h"
#include "milter/outcome/outcome_record.h"
#include "milter/serve/desk.h"
#include "milter/serve/notifier.h"
#include "milter/serve/outcome_statistics.h"
#include "milter/serve/outcome_watch.h"
#include "milter/serve/policy_keeper.h"
#include "milter/serve/report_mailer.h"
#include "milter/serve/signals.h"
#include "milter/store/health.h"

namespace replygate {

// All parts of a running daemon, in the order in which they need each other. Made and used by one thread.
class Daemon {
 public:
  // Sets everything up and binds all sockets, or says why not. `keeper` has loaded a policy; all outlive the daemon.
  static tl::expected<std::unique_ptr<Daemon>, std::string> open(PolicyKeeper& keeper, const Clock& clock,
                                                                 Troubles& troubles);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  // Serves until SIGTERM or SIGINT, or until the engine ends by itself; SIGHUP reloads. They were blocked
  // before any thread was made (SignalQueue::block). The exit status. Where that fails to end in time the process ends
  // here.
  int serve();

 private:
  Daemon(PolicyKeeper& keeper, const Clock& clock, Troubles& troubles);

  NotifySettings notes_settings() const;
  tl::expected<void, std::string> open_records();
  tl::expected<void, std::string> open_outcomes();
  tl::expected<void, std::string> open_store();
  tl::expected<void, std::string> open_doors();
  tl::expected<void, std::string> open_services();
  void open_report();
  // Opens something, and starts it if the daemon has started.
  using Opener = std::function<tl::expected<void, std::string>()>;
  tl::expected<void, std::string> have(Opener open, bool needed);
  void look_for_awaited();
  void look_at_names();
  tl::expected<void, std::string> serve_from(tl::expected<std::unique_ptr<StreamServer>, std::string> opened,
                                             std::unique_ptr<StreamServer>& place);
  bool takes_over() const;
  void start();
  void wait_for_stop(SignalQueue& signals);
  void reload();
  void tell_state() const;

  PolicyKeeper& keeper_;
  const Clock& clock_;
  Troubles& troubles_;
  const std::shared_ptr<const Policy> first_;  // whose settings hold until the end
  const Settings& settings_;

  StoreHealth health_;
  Traffic traffic_;
  DecisionTimes times_;
  Statistics statistics_;
  Rankings rankings_;
  Tail tail_;
  Recorder recorder_;
  References references_;
  OwnConnections own_;
  std::unique_ptr<LogSinks> sinks_;
  std::unique_ptr<History> history_;    // may be null
  std::string history_folder_;          // "" where none is kept
  std::unique_ptr<Notifier> notifier_;  // may be null
  std::unique_ptr<Store> store_;
  OutcomeStatistics outcome_statistics_;
  std::unique_ptr<OutcomeChronicle> chronicle_;  // of outcomes; may be null, as the two below
  std::unique_ptr<OutcomeWatch> watch_;
  std::unique_ptr<OutcomeReader> outcomes_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<LiveSources> lookups_;
  std::unique_ptr<Mailboxes> mailboxes_;      // may be null
  std::unique_ptr<StreamServer> delegation_;  // may be null
  std::unique_ptr<MilterDoor> milter_;
  std::unique_ptr<Desk> desk_;
  std::unique_ptr<StreamServer> control_;  // may be null
  std::unique_ptr<StreamServer> http_;     // may be null
  std::unique_ptr<ReportMailer> report_;   // may be null
  bool started_ = false;
  std::vector<Opener> awaited_;    // of the thread below once it runs
  std::unique_ptr<Ticker> await_;  // opens what could not be had at the start
  std::unique_ptr<Ticker> names_;  // looks at the socket of an engine that does not do so itself; may be null
};

}  // namespace replygate
