#pragma once

#include <string>
#include <vector>

#include "policy/rules/rule.h"

namespace replygate {

// What the MTA must send so that the rules of a policy can be judged.
struct Needs {
  bool size = false;                 // headers and body, for their size
  bool digest = false;               // subject and body
  std::vector<std::string> headers;  // fields that rules name, in lower case
  bool header_count = false;
  bool reply_at_headers = false;
  bool mailbox = false;  // how full the mailbox of each recipient is
  bool dead = false;     // whether recipients are dead
  bool add_headers = false;
  bool hold = false;
  bool reply_at_connect = false;
  bool reply_at_helo = false;
  bool reply_at_mail = false;
  bool data = false;

  bool all_headers() const { return size || digest || header_count || !headers.empty(); }
  bool body() const { return size || digest; }

  bool operator==(const Needs&) const = default;
};

Needs needs_of(const std::vector<Rule>& rules);

}  // namespace replygate
