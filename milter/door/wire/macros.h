#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "milter/door/mta_events.h"

namespace replygate::wire {

// The MTA's macros. Those of an earlier event stay readable until the same or an earlier one begins anew; those of a
// recipient end with its command, so that none is judged by the route of another. Tolerant: a name without a value is
// passed over, as are macros for commands that have none, and more than kMost at once (Sendmail stops at 50).
class MacroTable final : public MacroSource {
 public:
  static constexpr std::size_t kMost = 256;

  MacroTable() = default;
  MacroTable(const MacroTable&) = delete;
  MacroTable& operator=(const MacroTable&) = delete;

  // The data of a macro packet: the command that the macros belong to, then names and values.
  void set(std::string_view data);

  std::string_view get(std::string_view name) const override;

  void end_recipient() { clear_from(kRcpt); }
  void end_message() { clear_from(kMail); }
  void clear() { clear_from(kConnect); }

  std::size_t octets() const;

 private:
  enum Level : std::size_t { kConnect, kHelo, kMail, kRcpt, kLater, kLevels };

  static Level level_of(char command);
  void clear_from(std::size_t level);

  struct Macro {
    std::size_t level;
    std::string_view name;  // without braces
    std::string_view value;
  };

  std::array<std::string, kLevels> texts_;  // that the macros point into
  std::vector<Macro> macros_;               // ascending by level
};

}  // namespace replygate::wire
