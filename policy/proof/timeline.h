#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "policy/proof/solver.h"

namespace replygate {

// What one point of a session must show; nothing: whatever it does.
struct Shown {
  std::optional<std::int64_t> clock;  // minute of the week
  std::optional<std::int64_t> age;    // seconds
  std::optional<std::int64_t> refusals;
  std::optional<std::int64_t> recipients;
};

// One message of a stranger to one recipient, stage by stage, and what goes before it. A value.
struct Timeline {
  Model model;  // facts that stay
  std::array<Shown, kStages.size()> shown;
  std::optional<Shown> earlier;     // another recipient of the message, for whom a rule accepts the whole message
  std::vector<std::string> others;  // recipients that may stand before this one
  std::array<Instant, kStages.size()> at;
  Instant earlier_at;

  // Sets the instants so that they come one after the other.
  void schedule();
  std::int64_t refusals(Stage stage) const;
  std::int64_t recipients(Stage stage) const;
  // The model as it is at a stage.
  Model at_stage(Stage stage) const;
};

// What a solution chose; `points` beyond the stages are those of earlier recipients, of which the first tag counts.
Timeline timeline_of(const Solution& solution, const Site& site);

}  // namespace replygate
