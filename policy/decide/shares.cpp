#include "policy/decide/shares.h"

namespace replygate {

void judge_shares(const Inquiry& inquiry, std::vector<std::optional<Reading>>& readings) {
  for (std::size_t i = 0; i + 1 < inquiry.asks.size(); ++i) {
    if (!is_share(inquiry.asks[i]) || !readings[i]) continue;
    const auto& whole = readings[i + 1];
    if (!whole) {
      readings[i].reset();
      continue;
    }
    readings[i]->fits = !inquiry.asks[i].limit.is_reached(readings[i]->used, whole->used);
  }
}

}  // namespace replygate
