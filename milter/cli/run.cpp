#include <unistd.h>

#include <csignal>

#include "milter/cli/commands.h"
#include "milter/last_good.h"
#include "milter/log/say.h"
#include "milter/serve/daemon.h"

namespace replygate {
namespace {

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

}  // namespace

int run_command(const RunOptions& options) {
  if (::geteuid() == 0 && !options.as_root) {
    say("root has more rights than a daemon needs; run it as an ordinary user, as the unit replygate.service does");
    return kUsage;
  }
  const sigset_t signals = block_signals();
  const Clock clock;
  PolicyKeeper keeper(options.file, state_folder(), clock);
  if (const auto loaded = keeper.load_first(); !loaded) return loaded.error();
  auto daemon = Daemon::open(keeper, clock);
  if (!daemon) {
    say(daemon.error());
    return kUnavailable;
  }
  return (*daemon)->serve(signals);
}

}  // namespace replygate
