#pragma once

#include <fmt/format.h>

#include <chrono>
#include <string>
#include <string_view>

#include "tests/support/world.h"

// Rules that count, and messages that are counted.
namespace replygate::test {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

inline constexpr std::string_view kSite = "[site]\nlocal_domains = [\"example.org\"]\nrelay = \"mta\"\n";

inline std::string rule(std::string_view name, std::string_view body, std::string_view reply = "\"rate-limited\"") {
  return fmt::format("[[rule]]\nname = \"{}\"\n{}\nreply = {}\n", name, body, reply);
}

inline std::string told(std::string_view words) {
  return fmt::format("{{ class = \"rate-limited\", text = \"{}\" }}", words);
}

// The code of each reply: 250 where a command passes.
inline int code(const std::string& reply) { return reply.empty() ? 250 : std::stoi(reply); }

// One message of a session of its own.
inline int send(World& world, std::string_view recipient, std::string_view ip = "203.0.113.5") {
  Talk talk(world);
  if (const std::string reply = talk.connect(ip); !reply.empty()) return code(reply);
  talk.helo();
  if (const std::string reply = talk.mail("<a@x.example>"); !reply.empty()) return code(reply);
  const std::string reply = talk.rcpt(std::string(recipient));
  if (reply.empty()) return code(talk.end());
  talk.abort();
  return code(reply);
}

}  // namespace replygate::test
