#pragma once

#include <string>

namespace replygate {

// Connects to a milter as an MTA does and negotiates. `address`: "inet:127.0.0.1:8891", "inet:[::1]:8891",
// "unix:/path".
struct MilterGreeting {
  bool answered = false;
  bool forbidden = false;  // this user may not open the socket
  std::string why;         // it did not answer, for people
};
MilterGreeting greet_milter(const std::string& address);

}  // namespace replygate
