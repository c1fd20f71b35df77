#include "milter/lookup/answer_cache.h"

#include <utility>

namespace replygate {

void AnswerCache::put_young(Part& part, std::string_view key, Held held) const {
  if (part.young.size() >= most_in_part_) part.old = std::exchange(part.young, {});
  part.young.insert_or_assign(std::string(key), std::move(held));
}

std::optional<LiveAnswer> AnswerCache::find(std::string_view key, Time now) {
  Part& part = part_of(key);
  const std::lock_guard lock(part.mutex);
  if (const auto it = part.young.find(key); it != part.young.end()) {
    return it->second.until > now ? std::optional(it->second.answer) : std::nullopt;
  }
  const auto it = part.old.find(key);
  if (it == part.old.end()) return std::nullopt;
  Held held = std::move(it->second);
  part.old.erase(it);
  if (held.until <= now) return std::nullopt;
  LiveAnswer answer = held.answer;
  put_young(part, key, std::move(held));
  return answer;
}

void AnswerCache::put(std::string_view key, const LiveAnswer& answer, Time until) {
  Part& part = part_of(key);
  const std::lock_guard lock(part.mutex);
  part.old.erase(std::string(key));
  put_young(part, key, {answer, until});
}

std::size_t AnswerCache::size() const {
  std::size_t all = 0;
  for (const Part& part : parts_) {
    const std::lock_guard lock(part.mutex);
    all += part.young.size() + part.old.size();
  }
  return all;
}

}  // namespace replygate
