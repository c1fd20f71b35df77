#pragma once

#include <cstdlib>
#include <ctime>

namespace replygate::test {

// The time zone of this process, as long as it lives.
class LocalZone {
 public:
  explicit LocalZone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~LocalZone() {
    ::unsetenv("TZ");
    ::tzset();
  }
  LocalZone(const LocalZone&) = delete;
  LocalZone& operator=(const LocalZone&) = delete;
};

}  // namespace replygate::test
