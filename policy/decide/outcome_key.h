#pragma once

#include <string>

namespace replygate {

// Where outcomes of one recipient count: a rule that limits them, and its key while the transaction was judged.
struct OutcomeKey {
  std::string rule;  // its name
  std::string key;   // for people

  bool operator==(const OutcomeKey&) const = default;
};

}  // namespace replygate
