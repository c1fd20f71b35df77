#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace replygate {

// A key or a table that a TOML file defines twice. Lines and columns from 1, columns in octets.
struct TwiceDefined {
  struct Spot {
    unsigned line = 0;
    unsigned column = 0;
  };
  std::string name;
  Spot first;
  Spot second;
};

// What the parser's complaint `said` at that line and column is about; nothing where it is about something else, or the
// first definition cannot be found. Pure; any thread.
std::optional<TwiceDefined> twice_defined(std::string_view text, unsigned line, unsigned column, std::string_view said);

}  // namespace replygate
