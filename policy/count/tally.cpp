#include "policy/count/tally.h"

namespace replygate {

std::int64_t Tally::used(const std::string& counter) const {
  for (const Counts* counts : {&message_, &session_}) {
    if (const auto it = counts->find(counter); it != counts->end()) return it->second;
  }
  return 0;
}

void Tally::add(const std::string& counter, Scope scope, std::int64_t cost, bool final) {
  if (scope == Scope::message) {
    message_[counter] += cost;
    return;
  }
  session_[counter] += cost;
  if (!final) pending_.emplace_back(counter, cost);
}

void Tally::end_message(bool accepted) {
  message_.clear();
  if (!accepted) {
    for (const auto& [counter, cost] : pending_) session_[counter] -= cost;
  }
  pending_.clear();
}

}  // namespace replygate
