#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "milter/store/redis_reply.h"
#include "policy/count/store.h"

// What the store says to its script, and what the script answers.
namespace replygate::redis {

std::string_view script();  // redis_script.lua
std::string script_id();    // its SHA-1, by which a server knows it

// The counter's key on the server. All keys of one prefix are in one slot of a cluster, since one step touches several.
std::string key_of(std::string_view prefix, std::string_view counter);

// A charge as the script takes it: measure, four numbers, most, cost, group, flags, warn_at, member.
std::vector<std::string> words_of(const Charge& charge);

// The answer to a take: the readings, in the caller's time, and which charges went to the counter's former name.
struct Taking {
  std::vector<std::optional<Reading>> readings;  // none is empty
  std::vector<bool> renamed;
};
// Nothing where the reply is not of that shape.
std::optional<Taking> read_taking(const redisReply& reply, std::size_t charges, Instant now);

}  // namespace replygate::redis
