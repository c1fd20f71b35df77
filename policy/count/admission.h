#pragma once

#include <optional>
#include <vector>

#include "policy/count/store.h"

namespace replygate {

// Whether a take() charges charges[i], given the readings of all: it costs something, and counts even if full or
// everything in its group has room. `readings` has one for each charge.
inline bool is_charged(const std::vector<Charge>& charges, const std::vector<std::optional<Reading>>& readings,
                       bool admit, std::size_t i) {
  if (charges[i].cost == 0 || charges[i].even_if_full) return charges[i].cost != 0;
  if (!admit) return false;
  for (std::size_t k = 0; k < charges.size(); ++k) {
    if (charges[k].group == charges[i].group && !readings[k]->fits) return false;
  }
  return true;
}

}  // namespace replygate
