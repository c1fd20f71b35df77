#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <string>

#include "milter/serve/desk.h"

namespace replygate {

// The version of requests and answers; an answer to another one is an error that names this.
inline constexpr int kControlVersion = 1;

// What one command has led to.
struct ControlAnswer {
  int status = 0;              // exit status of the client
  std::string error;           // for people; "" for none
  boost::json::object result;  // where there is no error, and with a refused reload

  std::string line() const;  // as JSON, with LF
};

// Carries out a request, an object with "v", "command" and what that command takes. Total: what makes no sense is
// answered with an error. `done` is called exactly once, perhaps later and on another thread. May take a while: reading
// a policy, or the history.
void answer_request(Desk& desk, const boost::json::object& request, const std::function<void(ControlAnswer)>& done);

}  // namespace replygate
