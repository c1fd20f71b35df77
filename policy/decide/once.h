#pragma once

#include <string>

#include "policy/rules/match.h"

namespace replygate {

// What a message, or a session, is counted for once, however often it is judged: by the names of counters, and for
// connections by that of the rule. Belongs to one session and is used by one thread at a time.
struct Once {
  TextTable admitted;  // it has been let in there, and is not compared again
  TextTable refused;   // it is counted there although there was no room, and is compared again without being counted

  void note(const std::string& name, bool had_room) {
    if (had_room) {
      admitted.insert(name);
      refused.erase(name);
    } else {
      refused.insert(name);
    }
  }
};

}  // namespace replygate
