#include <unistd.h>

#include <csignal>

#include "milter/cli/commands.h"
#include "milter/last_good.h"
#include "milter/log/say.h"
#include "milter/serve/daemon.h"
#include "milter/serve/signals.h"

namespace replygate {
namespace {

// A log's reader that goes away, or a file that may not grow, is an error of a write, not the end of the process.
void ignore_failed_writes() {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
}

}  // namespace

int run_command(const RunOptions& options) {
  if (::geteuid() == 0 && !options.as_root) {
    say("root has more rights than a daemon needs; run it as an ordinary user, as the unit replygate.service does");
    return kUsage;
  }
  SignalQueue::block();
  ignore_failed_writes();
  const Clock clock;
  Troubles troubles;
  PolicyKeeper keeper(options.file, state_folder(), clock, troubles);
  if (const auto loaded = keeper.load_first(); !loaded) return loaded.error();
  auto daemon = Daemon::open(keeper, clock, troubles);
  if (!daemon) {
    say(daemon.error());
    return kUnavailable;
  }
  return (*daemon)->serve();
}

}  // namespace replygate
