// A daemon whose files fail at every call: file_faults REPLYGATE PRELOAD [every]
//
// One dialogue is played again and again: a message, a reload, a list that changes, a raised limit, records and
// history. Each time another call of the file system fails, with each of the errors that hosts have, once or from then
// on, or hangs. The daemon must answer all the same, must not die, and must have lost nothing once its files are well.
// With `every` only each such call is played; 1 is the long form.

#include "tests/fault/faulty_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <memory>
#include <set>
#include <thread>

#include "milter/json_members.h"
#include "milter/serve/control_client.h"
#include "tests/fault/daemon.h"
#include "tests/fault/peers.h"
#include "tests/fault/report.h"
#include "tests/support/folder.h"

namespace replygate::test {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr std::array kErrors = {EACCES, EIO, ENOSPC, EROFS, ESTALE, EMFILE, ENOENT};
constexpr std::int64_t kFromThenOn = 400;
constexpr int kHangMs = 1500;

struct Unmap {
  void operator()(FaultPlan* plan) const { ::munmap(plan, sizeof *plan); }
};
using SharedPlan = std::unique_ptr<FaultPlan, Unmap>;

SharedPlan make_plan(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ::ftruncate(file, sizeof(FaultPlan)) != 0) throw std::runtime_error("no plan of faults");
  void* memory = ::mmap(nullptr, sizeof(FaultPlan), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  ::close(file);
  if (memory == MAP_FAILED) throw std::runtime_error("no plan of faults");
  return SharedPlan(static_cast<FaultPlan*>(memory));
}

class Play {
 public:
  Play(std::string binary, std::string preload) : binary_(std::move(binary)), preload_(std::move(preload)) {
    plan_ = make_plan(plan_path_);
    std::strncpy(plan_->folder, state_.path().c_str(), sizeof plan_->folder - 1);
    state_.write("list", "blocked@x.example\n");
    state_.write("mailboxes", "bob@x.example 1MB 100MB\n");
    ::setenv(FaultPlan::kVariable, plan_path_.c_str(), 1);
    start();
  }
  Play(const Play&) = delete;
  Play& operator=(const Play&) = delete;

  // How many calls the dialogue makes, roughly.
  std::int64_t calls() {
    dialogue();
    const std::int64_t before = plan_->calls;
    dialogue();
    return plan_->calls - before;
  }

  void spoil(std::int64_t call, int error, std::int64_t count) {
    plan_->wait_ms = error == 0 ? kHangMs : 0;
    plan_->error = error;
    plan_->first = plan_->calls + call;
    plan_->count = count;
    dialogue();
    plan_->count = 0;
    ++faults;
  }

  void restart() {
    stop();
    start();
  }

  // How many calls a start makes.
  std::int64_t calls_of_start() {
    stop();
    const std::int64_t before = plan_->calls;
    start();
    return plan_->calls - before;
  }

  // A start at which a call fails: it comes up, or ends with a status and a reason, and has spoilt nothing.
  void spoil_start(std::int64_t call, int error, std::int64_t count) {
    stop();
    plan_->wait_ms = 0;
    plan_->error = error;
    plan_->first = plan_->calls + call;
    plan_->count = count;
    ++faults;
    try {
      start();
      plan_->count = 0;
    } catch (const std::runtime_error& ended) {
      plan_->count = 0;
      if (std::string_view(ended.what()).find("replygate: ") == std::string_view::npos) ++silent;
      start();
    }
  }

  // What each counter has that differs from what was accepted.
  long wrong_counters() {
    long wrong = 0;
    for (const auto& [sender, count] : accepted_) wrong += used(sender) == count ? 0 : 1;
    return wrong;
  }
  // Limits whose raising was confirmed, and that are not raised.
  long lost_raises() {
    long lost = 0;
    for (const std::string& key : raised_) lost += shown(key, "raised") ? 0 : 1;
    return lost;
  }
  long broken_lines() const {
    long broken = 0;
    std::ifstream in(state_.file("log"));
    for (std::string line; std::getline(in, line);) {
      boost::system::error_code error;
      json::parse(line, error);
      broken += error ? 1 : 0;
    }
    return broken;
  }
  bool comes_in_order() {
    for (int i = 0; i < 200; ++i) {
      message();
      if (text_at(object_at(ask({{"command", "status"}}), "store"), "trouble").empty()) return true;
      std::this_thread::sleep_for(milliseconds(50));
    }
    return false;
  }
  std::string messages() const { return daemon_->messages(); }

  long faults = 0;
  long unanswered = 0;  // commands that were not answered, or not as they should
  double slowest = 0;   // seconds until one was
  long deaths = 0;
  long silent = 0;  // starts that failed without a reason
  int status = 0;

 private:
  void stop() {
    daemon_->terminate();
    const int ended = daemon_->wait();
    if (ended != 0) status = ended;
    control_.reset();
    mta_.reset();
    daemon_.reset();
  }

  std::string rules() const {
    return fmt::format(
        "[control]\nlisten = \"unix:{0}/control.sock\"\n[history]\npath = \"{0}/history\"\n"
        "[mailbox]\nfile = \"{0}/mailboxes\"\n[lists]\nl = {{ file = \"{0}/list\" }}\n"
        "[[rule]]\nname = \"full\"\nwhen = {{ mailbox_used = \">= 100%\" }}\nreply = 552\n"
        "[[rule]]\nname = \"blocked\"\nwhen = {{ sender = \"$l\" }}\nreply = 554\n"
        "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = \"100000 recipients / 1d\"\nreply = 452\n",
        state_.path().string());
  }

  void start() {
    ::setenv("LD_PRELOAD", preload_.c_str(), 1);
    daemon_ = make_daemon();
    ::unsetenv("LD_PRELOAD");
    auto control = ControlClient::connect(state_.file("control.sock"));
    if (!control) throw std::runtime_error(control.error());
    control_ = *std::move(control);
    mta_ = std::make_unique<WireClient>(open_session(daemon_->address()));
  }

  std::unique_ptr<Daemon> make_daemon() try {
    return std::make_unique<Daemon>(
        Daemon::Options{.binary = binary_,
                        .rules = rules(),
                        .records = "file:" + state_.file("log"),
                        .store = fmt::format("backend = \"sqlite\"\npath = \"{}\"", state_.file("state.db"))});
  } catch (...) {
    ::unsetenv("LD_PRELOAD");
    throw;
  }

  json::object ask(json::object request) {
    if (!control_) return {};
    auto answer = control_->ask(request);
    if (answer) return object_at(*answer, "result");
    control_.reset();
    ++unanswered;
    return {};
  }
  json::object limits_of(const std::string& key) {
    const json::object answer = ask({{"command", "quota-show"}, {"key", key}});
    const json::array& limits = array_at(answer, "limits");
    return limits.empty() ? json::object() : limits.front().as_object();
  }
  long used(const std::string& key) { return static_cast<long>(number_at(limits_of(key), "used")); }
  bool shown(const std::string& key, std::string_view flag) { return flag_at(limits_of(key), flag); }

  bool say(const std::string& packets) {
    const auto begin = now();
    const Heard heard = mta_->ask(packets);
    slowest = std::max(slowest, seconds_since(begin));
    if (heard.command == 'c') return true;
    ++unanswered;
    return false;
  }

  void message() {
    const std::string sender = fmt::format("s{}@x.example", number_ % 7);
    const bool good = say(mail_packet('<' + sender + '>')) && say(rcpt_packet("<bob@x.example>")) &&
                      say(rcpt_packet("<alice@x.example>")) && say(packet('E'));
    if (good) accepted_[sender] += 2;
  }

  void dialogue() {
    ++number_;
    if (!daemon_->alive()) {
      ++deaths;
      throw std::runtime_error("the daemon has died: " + daemon_->messages());
    }
    message();
    state_.write("list", fmt::format("blocked{}@x.example\n", number_));
    ask({{"command", "reload"}});
    const std::string key = fmt::format("r{}@x.example", number_);
    const json::object raised =
        ask({{"command", "quota-raise"}, {"key", key}, {"percent", 200}, {"until", "2099-01-01T00:00:00Z"}});
    if (raised.contains("percent")) raised_.insert(key);
    if (raised_.size() > 20) raised_.erase(raised_.begin());
    message();
    std::this_thread::sleep_for(milliseconds(60));  // in which what is counted goes to disk, now and then
  }

  const std::string binary_;
  const std::string preload_;
  const Folder state_;  // lives longer than the daemons that use it
  const Folder plan_folder_;
  const std::string plan_path_ = plan_folder_.file("plan");
  SharedPlan plan_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<ControlClient> control_;
  std::unique_ptr<WireClient> mta_;
  std::map<std::string, long> accepted_;
  std::set<std::string> raised_;
  long number_ = 0;
};

// Every call that is to fail, each with every error, once and from then on. Names the first behind which counters are
// wrong.
class Turns {
 public:
  Turns(Play& play, std::int64_t every) : play_(play), every_(every) {}

  void take(std::string_view during, std::int64_t calls, void (Play::*spoil)(std::int64_t, int, std::int64_t)) {
    for (std::int64_t call = 1; call <= calls; ++call) {
      for (const int error : kErrors) {
        for (const std::int64_t count : {std::int64_t{1}, kFromThenOn}) {
          if (++turn_ % every_ != 0) continue;
          (play_.*spoil)(call, error, count);
          look(fmt::format("call {} of {}, {}, {} times", call, during, std::strerror(error), count));
        }
      }
    }
  }

 private:
  void look(const std::string& what) {
    if (wrong_ || play_.wrong_counters() == 0) return;
    wrong_ = true;
    fmt::print("counters are wrong behind {}\n{}\n", what, play_.messages());
  }

  Play& play_;
  const std::int64_t every_;
  std::int64_t turn_ = 0;
  bool wrong_ = false;
};

int run(const std::string& binary, const std::string& preload, std::int64_t every) {
  Play play(binary, preload);
  Turns turns(play, every);
  const std::int64_t calls = play.calls();
  turns.take("a dialogue", calls, &Play::spoil);
  for (std::int64_t call = 1; call <= calls; call += every) play.spoil(call, 0, 1);  // hangs
  const std::int64_t starts = play.calls_of_start();
  turns.take("a start", starts, &Play::spoil_start);
  Report report(true);
  report.exactly("FILE", fmt::format("deaths in {} faults, {}+{} calls", play.faults, calls, starts), play.deaths, 0);
  report.exactly("FILE", "commands not answered as they should", play.unanswered, 0);
  report.measured("FILE", "slowest answer", play.slowest, 1, "s");
  report.exactly("FILE", "store in order again", play.comes_in_order() ? 1 : 0, 1);
  report.exactly("FILE", "counters that are wrong", play.wrong_counters(), 0);
  report.exactly("FILE", "starts that failed without a reason", play.silent, 0);
  play.restart();
  report.exactly("FILE", "status at its end", play.status, 0);
  report.exactly("FILE", "counters that are wrong after a restart", play.wrong_counters(), 0);
  report.exactly("FILE", "raised limits that are gone", play.lost_raises(), 0);
  report.exactly("FILE", "lines of the log that are no JSON", play.broken_lines(), 0);
  if (!report.good()) fmt::print(stderr, "{}\n", play.messages());
  return report.good() ? 0 : 1;
}

}  // namespace
}  // namespace replygate::test

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: file_faults REPLYGATE PRELOAD [every]\n");
    return 64;
  }
  try {
    return replygate::test::run(argv[1], argv[2], argc > 3 ? std::strtoll(argv[3], nullptr, 10) : 1);
  } catch (const std::exception& error) {
    fmt::print(stderr, "file_faults: {}\n", error.what());
    return 1;
  }
}
