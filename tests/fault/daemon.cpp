#include "tests/fault/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <thread>

namespace replygate::test {
namespace {

constexpr int kHandedOver = 3;

std::string new_folder() {
  std::string name = "/tmp/replygate-fault.XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no folder for the test");
  return name;
}

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Between fork and exec.
[[noreturn]] void become(const Daemon::Options& options, const std::string& folder) {
  const std::string errors = folder + "/errors";
  const std::string policy = folder + "/policy.toml";
  const int out = ::open(errors.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(out, STDERR_FILENO);
  if (options.listen == kHandedOver) {
    ::fcntl(kHandedOver, F_SETFD, 0);
  } else if (options.listen >= 0) {
    ::dup2(options.listen, kHandedOver);
  }
  ::close_range(options.listen >= 0 ? kHandedOver + 1 : kHandedOver, ~0U, 0);
  if (options.descriptors) {
    const rlimit limit{*options.descriptors, *options.descriptors};
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ::execl(options.binary.c_str(), "replygate", "run", "--as-root", "-c", policy.c_str(), nullptr);
  std::_Exit(127);
}

}  // namespace

Daemon::Daemon(const Options& options)
    : folder_(new_folder()), address_(options.address.empty() ? "unix:" + folder_ + "/milter.sock" : options.address) {
  const std::string listen = options.listen >= 0 ? fmt::format("fd:{}", kHandedOver) : address_;
  std::ofstream(folder_ + "/policy.toml")
      << fmt::format("version = 1\n[milter]\nlisten = \"{}\"\n{}\n[log]\ndecisions = \"{}\"\n[store]\n{}\n{}\n", listen,
                     options.milter, options.records, options.store, options.rules);
  pid_ = ::fork();
  if (pid_ == 0) become(options, folder_);
  while (messages().find("milter at") == std::string::npos) {
    if (!alive()) throw std::runtime_error(messages());
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

Daemon::~Daemon() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove_all(folder_);
}

void Daemon::terminate() const { ::kill(pid_, SIGTERM); }

int Daemon::wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

bool Daemon::alive() const {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

std::string Daemon::messages() const { return content(folder_ + "/errors"); }

double Daemon::cpu_seconds() const {
  const std::string text = content(fmt::format("/proc/{}/stat", pid_));
  std::istringstream fields(text.substr(text.rfind(')') + 1));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0;
  double system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double Daemon::resident_mib() const { return test::resident_mib(pid_); }

double resident_mib(pid_t pid) {
  std::istringstream fields(content(fmt::format("/proc/{}/statm", pid)));
  double total = 0;
  double resident = 0;
  fields >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1048576;
}

int Daemon::threads() const {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid_)), {}));
}

int Daemon::descriptors() const {
  return static_cast<int>(std::distance(std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid_)), {}));
}

}  // namespace replygate::test
