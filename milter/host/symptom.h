#pragma once

#include <string>
#include <vector>

namespace replygate {

// One thing that was looked at on this host.
struct Symptom {
  enum class Level : unsigned char { fine, warning, error };

  Level level = Level::fine;
  std::string subject;  // "postfix", "policy", "store" …
  std::string what;
  std::string mend;  // the command or the line that mends it; "" where all is fine

  bool operator==(const Symptom&) const = default;
};

using Symptoms = std::vector<Symptom>;

}  // namespace replygate
