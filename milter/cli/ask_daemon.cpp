#include "milter/cli/ask_daemon.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/json_members.h"
#include "milter/log/say.h"
#include "milter/serve/control_client.h"

namespace replygate {

namespace json = boost::json;

int ask_daemon(const ControlOptions& options, json::object request,
               const std::function<void(const json::object& result)>& print,
               const std::function<int(const json::object& result)>& judge) {
  const auto client = ControlClient::connect(options.socket);
  if (!client) {
    say(client.error());
    return kUnavailable;
  }
  const auto answer = (*client)->ask(std::move(request));
  if (!answer) {
    say(answer.error());
    return kUnavailable;
  }
  if (const std::string error = text_at(*answer, "error"); !error.empty()) {
    if (const std::string messages = text_at(object_at(*answer, "result"), "messages"); !messages.empty()) {
      fmt::print(stderr, "{}", messages);
    }
    say(error);
    const int status = static_cast<int>(number_at(*answer, "status"));
    return status == kFine ? kInternal : status;
  }
  const json::object& result = object_at(*answer, "result");
  if (options.json) {
    fmt::print("{}\n", json::serialize(result));
  } else {
    print(result);
  }
  return judge ? judge(result) : kFine;
}

}  // namespace replygate
