#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load/patterns.h"

namespace replygate {

// A key of `override`, in the form in which keys are counted.
struct OverrideKey {
  std::string exact;
  std::shared_ptr<const TextSet> pattern;      // null: the key is exact, or networks
  std::shared_ptr<const NetworkSet> networks;  // null: it is none
  bool list = false;                           // the pattern is a $list
};

// Whether two patterns are one, maybe in two spellings.
bool is_same_pattern(const TextSet& one, const TextSet& other);

// What `text` means as a key of a rule that counts per `per`. Nothing, with a diagnostic, where no key can be like it:
// another number of parts, or a part that no value of its fact can be.
std::optional<OverrideKey> override_key(Context& context, Patterns& patterns, const std::vector<FactRef>& per,
                                        std::string_view text, const Region& at);

}  // namespace replygate
