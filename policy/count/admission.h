#pragma once

#include <optional>
#include <span>

#include "policy/count/store.h"

namespace replygate {

// Whether charges[i] keeps its group from being admitted.
inline bool keeps_out(std::span<const Charge> charges, std::span<const std::optional<Reading>> readings,
                      std::size_t i) {
  return !readings[i]->fits && (!charges[i].pardoned || readings[i + 1]->fits);
}

// Whether a take() charges charges[i], given the readings of all: it costs something, and counts even if full or
// everything in its group has room. `readings` has one for each charge.
inline bool is_charged(std::span<const Charge> charges, std::span<const std::optional<Reading>> readings, bool admit,
                       std::size_t i) {
  if (charges[i].cost == 0 || charges[i].even_if_full) return charges[i].cost != 0;
  if (!admit) return false;
  for (std::size_t k = 0; k < charges.size(); ++k) {
    if (charges[k].group == charges[i].group && keeps_out(charges, readings, k)) return false;
  }
  return true;
}

}  // namespace replygate
