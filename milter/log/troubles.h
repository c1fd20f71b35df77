#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace replygate {

// What is wrong just now with what the daemon needs of its host: files, services, sockets. For status, metrics and
// doctor; stderr hears when something begins and when it is over. Any thread.
class Troubles {
 public:
  using Time = std::chrono::steady_clock::time_point;
  struct Trouble {
    std::string of;
    std::string what;  // for people
    std::chrono::milliseconds lasting{0};
  };

  // All that is wrong with `of` now, by who looks after it; what was told of it before is over unless it is told again.
  void tell(const std::string& of, std::vector<std::string> troubles, Time now = std::chrono::steady_clock::now());

  std::vector<Trouble> all(Time now = std::chrono::steady_clock::now()) const;
  // Of each thing that was ever told of, how many there are now.
  std::map<std::string, std::size_t> counts() const;

 private:
  struct Begin {
    Time since;
    bool said = false;  // and so is its end
  };
  using Standing = std::map<std::string, Begin>;  // what

  bool may_say(const std::string& what, Time now);

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  std::map<std::string, Standing, std::less<>> of_;
  std::map<std::string, Time> said_;  // what comes and goes is said once in ten seconds
};

// Whose troubles keep new mail from being judged: "milter unix:/path".
constexpr std::string_view kOfMilter = "milter ";

}  // namespace replygate
