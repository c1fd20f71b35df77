#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "milter/store/redis_connection.h"

namespace replygate::redis {

// One call of the script.
struct Request {
  std::vector<std::string> keys;
  std::vector<std::string> arguments;
  Connection::Time deadline;
  std::function<void(const redisReply*)> done;  // null: no answer, or none that helps; empty once it was told
  std::weak_ptr<Connection> connection = {};    // that it was passed on to

  // Calls `done`, and never again.
  void tell(const redisReply* reply) {
    if (const auto once = std::exchange(done, nullptr)) once(reply);
  }
  bool settles() const { return arguments.front() == "settle"; }
  bool shares_counter(const Request& other) const;

  // As commands: EVAL or EVALSHA, and WAIT behind it where replicas must have what was counted.
  std::string octets(std::string_view verb, std::string_view script, std::int64_t replicas,
                     std::string_view patience) const;
};

}  // namespace replygate::redis
