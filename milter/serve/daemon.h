#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/door/delegation.h"
#include "milter/door/door.h"
#include "milter/log/history.h"
#include "milter/log/recorder.h"
#include "milter/log/sinks.h"
#include "milter/serve/control_server.h"
#include "milter/serve/desk.h"
#include "milter/serve/http_server.h"
#include "milter/serve/notifier.h"
#include "milter/serve/policy_keeper.h"
#include "milter/store/health.h"

namespace replygate {

// All parts of a running daemon, in the order in which they need each other. Made and used by one thread.
class Daemon {
 public:
  // Sets everything up and binds all sockets, or says why not. `keeper` has loaded a policy and outlives the daemon.
  static tl::expected<std::unique_ptr<Daemon>, std::string> open(PolicyKeeper& keeper, const Clock& clock);
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  ~Daemon();

  // Serves until SIGTERM or SIGINT, or until the engine ends by itself; SIGHUP reloads. `signals` are these three,
  // blocked in all threads. The exit status. Where that fails to end in time the process ends here.
  int serve(const sigset_t& signals);

 private:
  Daemon(PolicyKeeper& keeper, const Clock& clock);

  tl::expected<void, std::string> open_records();
  tl::expected<void, std::string> open_store();
  tl::expected<void, std::string> open_doors();
  tl::expected<void, std::string> open_services();
  void start();
  void wait_for_stop(const sigset_t& signals);
  void reload();
  void tell_state() const;

  PolicyKeeper& keeper_;
  const Clock& clock_;
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
  std::unique_ptr<LogSinks> sinks_;
  std::unique_ptr<History> history_;    // may be null
  std::unique_ptr<Notifier> notifier_;  // may be null
  std::unique_ptr<Store> store_;
  std::unique_ptr<Gate> gate_;
  std::unique_ptr<Mailboxes> mailboxes_;        // may be null
  std::unique_ptr<DelegationDoor> delegation_;  // may be null
  std::unique_ptr<MilterDoor> milter_;
  std::unique_ptr<Desk> desk_;
  std::unique_ptr<ControlServer> control_;  // may be null
  std::unique_ptr<HttpServer> http_;        // may be null
};

}  // namespace replygate
