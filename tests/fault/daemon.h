#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace replygate::test {

// replygate as a process of its own, with a folder for its socket, log and messages.
class Daemon {
 public:
  struct Options {
    std::string binary;
    std::string milter;  // further lines of [milter]
    std::string rules;
    int listen = -1;                      // a listening socket to hand over; else a Unix socket in the folder
    std::optional<unsigned> descriptors;  // RLIMIT_NOFILE
    std::string records = "file:/dev/null";
    std::string address = "";  // to listen at instead
    std::string store = "backend = \"memory\"";
  };

  explicit Daemon(const Options& options);  // throws where it does not come up
  ~Daemon();                                // kills
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  const std::string& address() const { return address_; }
  const std::string& folder() const { return folder_; }
  void terminate() const;
  int wait();  // for its end; gives the exit status, or -signal
  bool alive() const;
  pid_t pid() const { return pid_; }

  double cpu_seconds() const;
  double resident_mib() const;
  int threads() const;
  int descriptors() const;
  std::string messages() const;  // what it wrote to stderr

 private:
  std::string folder_;
  std::string address_;
  pid_t pid_ = -1;
};

double resident_mib(pid_t pid);

}  // namespace replygate::test
