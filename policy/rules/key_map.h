#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "policy/rules/answers.h"
#include "policy/rules/match.h"

namespace replygate {

// A map of [maps]: names, and the name that each of them counts as. Immutable; any thread.
struct KeyMap {
  std::string name;
  boost::unordered_flat_map<std::string, std::string, TextHash, std::equal_to<>> table;  // folded
  LiveSourcePtr live;                    // is asked in place of the table; null: there is none
  std::optional<std::string> otherwise;  // what the map does not know counts as that; nothing: as itself

  // What a key counts as; nothing where that is not known: a live source has not said it.
  std::optional<std::string> of(std::string_view key, Answers* answers) const;
};

// A name as it is counted: without blanks around it and control characters, folded, and no longer than 255 octets in
// whole characters.
std::string counted_name(std::string_view text);

}  // namespace replygate
