#include "tests/oracle/count_grey.h"

#include <algorithm>

#include "tests/oracle/count_times.h"

namespace replygate::oracle::counts {

GreyBook::Look GreyBook::look(const Grey& grey, const std::string& key, std::int64_t now) const {
  const std::int64_t delay = grey.delay.seconds * kSecond;
  const Look fresh{.from = now + delay};
  const auto it = keys_.find(key);
  if (it == keys_.end()) return fresh;
  const Key& k = it->second;
  if (k.passed) return now - k.last < grey.remember.seconds * kSecond ? Look{.passes = true, .from = now} : fresh;
  if (now - k.first >= grey.retry_within.seconds * kSecond) return fresh;
  if (now - k.first < delay) return {.from = k.first + delay};
  return {.passes = true, .first = true, .from = now};
}

void GreyBook::see(const Grey& grey, const std::string& key, std::int64_t now) {
  const Look before = look(grey, key, now);
  const bool anew = !before.passes && before.from == now + grey.delay.seconds * kSecond;
  Key& k = keys_[key];
  if (anew) k = {.first = now};
  k.passed = k.passed || before.passes;
  k.last = now;
}

bool GreyBook::knows(const Grey& grey, const std::string& client, std::int64_t now) const {
  const auto it = passed_.find(client);
  if (grey.known_after == 0 || it == passed_.end()) return false;
  const auto counts = [&](std::int64_t at) { return leaves(at, grey.remember.seconds) > now; };
  return std::ranges::count_if(it->second, counts) >= grey.known_after;
}

}  // namespace replygate::oracle::counts
