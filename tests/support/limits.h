#pragma once

#include <string>
#include <string_view>

#include "tests/support/world.h"

// One rule with a limit, and mail that it counts.
namespace replygate::test {

inline std::string limit_rule(std::string_view body, std::string_view reply = "\"quota-exceeded\"") {
  return "[site]\nlocal_domains = [\"ours.example\"]\n[[rule]]\nname = \"quota\"\n" + std::string(body) +
         "\nreply = " + std::string(reply) + "\n";
}

inline bool sends(World& world, std::string user, int recipients = 1) {
  Talk talk(world);
  talk.connect("203.0.113.5");
  if (!talk.mail("<" + user + ">", user).empty()) return false;
  for (int i = 0; i < recipients; ++i) {
    if (!talk.rcpt("<r@elsewhere.example>").empty()) return false;
  }
  return talk.end().empty();
}

}  // namespace replygate::test
