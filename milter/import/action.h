#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace replygate::import {

// What Postfix makes of an action of access(5), which policy services answer with, too.
struct Action {
  enum class Kind : std::uint8_t {
    none,    // DUNNO: the next restriction is asked
    permit,  // OK, RELAY, digits alone: ends the list of restrictions
    refuse,  // REJECT, DEFER, 4NN and 5NN with a text
    hold,
    discard,
    prepend,
    warn,   // WARN, INFO: logs alone
    other,  // has no counterpart here
  };
  Kind kind = Kind::other;
  int code = 0;          // of refuse
  std::string enhanced;  // of refuse, never empty there
  std::string text;      // behind the word, as it is
};

Action action_of(std::string_view text);

// A `reply`: `text` is a template already, "" for none.
std::string reply_of(int code, std::string_view enhanced, std::string_view text);
// The same of an action that refuses.
std::string reply_of(const Action& action);

// The reason of a `hold`; `otherwise` where the action says none.
std::string hold_of(const Action& action, std::string_view otherwise = "held by policy");

// "Name: value" as a `header`; "" where it is no field.
std::string header_of(std::string_view field);

}  // namespace replygate::import
