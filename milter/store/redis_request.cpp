#include "milter/store/redis_request.h"

#include <algorithm>

namespace replygate::redis {

bool Request::shares_counter(const Request& other) const {
  return std::ranges::any_of(
      keys, [&](const std::string& key) { return std::ranges::find(other.keys, key) != other.keys.end(); });
}

std::string Request::octets(std::string_view verb, std::string_view script, std::int64_t replicas,
                            std::string_view patience) const {
  const std::string count = std::to_string(keys.size());
  std::vector<std::string_view> words;
  words.reserve(3 + keys.size() + arguments.size());
  words.assign({verb, script, count});
  words.insert(words.end(), keys.begin(), keys.end());
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::string result = command(words);
  if (replicas > 0) result += command({"WAIT", std::to_string(replicas), patience});
  return result;
}

}  // namespace replygate::redis
