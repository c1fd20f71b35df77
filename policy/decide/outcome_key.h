#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

namespace replygate {

// Where outcomes of one recipient count: a rule that limits them, and its key while the transaction was judged.
struct OutcomeKey {
  std::string rule;  // its name
  std::string key;   // for people

  bool operator==(const OutcomeKey&) const = default;
};

// What recipients of one message have in common. A complaint that names none of several (providers hide who complains,
// RFC 6590) is about the sender, and counts for these keys, once.
class CommonKeys {
 public:
  void add(const std::vector<OutcomeKey>& keys) {
    if (sets_++ == 0) keys_ = keys;
    std::erase_if(keys_, [&](const OutcomeKey& key) { return std::ranges::find(keys, key) == keys.end(); });
  }
  const std::vector<OutcomeKey>& keys() const { return keys_; }
  std::size_t sets() const { return sets_; }  // that were added

 private:
  std::vector<OutcomeKey> keys_;
  std::size_t sets_ = 0;
};

}  // namespace replygate
