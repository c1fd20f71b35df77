#include "policy/count/tally.h"

namespace replygate {

std::int64_t Tally::used(const std::string& counter) const {
  for (const Counts* counts : {&message_, &session_}) {
    if (const auto it = counts->find(counter); it != counts->end()) return it->second;
  }
  return 0;
}

void Tally::count(Counts& counts, std::size_t& octets, const std::string& counter, std::int64_t cost) {
  constexpr std::size_t kEntry = 64;
  const auto [it, added] = counts.try_emplace(counter, 0);
  it->second += cost;
  if (added) octets += kEntry + counter.size();
}

void Tally::add(const std::string& counter, Scope scope, std::int64_t cost, bool final) {
  if (scope == Scope::message) return count(message_, message_octets_, counter, cost);
  count(session_, session_octets_, counter, cost);
  if (!final) pending_.emplace_back(counter, cost);
}

void Tally::end_message(bool accepted) {
  message_.clear();
  message_octets_ = 0;
  if (!accepted) {
    for (const auto& [counter, cost] : pending_) session_[counter] -= cost;
  }
  pending_.clear();
}

}  // namespace replygate
