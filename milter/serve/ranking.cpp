#include "milter/serve/ranking.h"

#include <algorithm>

#include "policy/decide/record_summary.h"

namespace replygate {
namespace {

constexpr std::size_t kMostRanked = 4096;
constexpr std::chrono::minutes kRankedSpan{5};

}  // namespace

void Ranking::add(std::string_view key, std::int64_t recipients, std::int64_t refused, Instant now) {
  const std::int64_t span = now.time_since_epoch() / kRankedSpan;
  if (span != span_) {
    before_ = span == span_ + 1 ? std::move(present_) : Uses();
    present_ = Uses();
    span_ = span;
    left_out_ = 0;
  }
  auto it = present_.find(key);
  if (it == present_.end()) {
    if (present_.size() >= kMostRanked && !make_room()) return;
    it = present_.emplace(key, Use()).first;
  }
  it->second.recipients += recipients;
  it->second.refused += refused;
}

// Looking through all keys at each new one would cost every decision dear.
bool Ranking::make_room() {
  if (left_out_++ % kMostRanked != 0) return false;
  erase_if(present_, [](const auto& item) { return item.second.recipients <= 1; });
  if (present_.size() >= kMostRanked) return false;
  left_out_ = 0;
  return true;
}

std::vector<Ranking::Row> Ranking::first(std::size_t count, Instant now) const {
  Uses sums;
  const std::int64_t age = now.time_since_epoch() / kRankedSpan - span_;
  if (age <= 1) sums = present_;
  if (age == 0) {
    for (const auto& [key, use] : before_) {
      sums[key].recipients += use.recipients;
      sums[key].refused += use.refused;
    }
  }
  std::vector<Row> rows;
  for (const auto& [key, use] : sums) rows.push_back({key, use.recipients, use.refused});
  std::ranges::sort(rows, [](const Row& a, const Row& b) {
    return std::tie(b.recipients, b.refused, a.key) < std::tie(a.recipients, a.refused, b.key);
  });
  rows.resize(std::min(rows.size(), count));
  return rows;
}

void Rankings::hear(Rendering& rendering) {
  const Record& r = rendering.record();
  const std::lock_guard lock(mutex_);
  std::string_view last;
  const auto rule = [&](const Verdict& verdict, bool refused) {
    for (const LimitUse& use : verdict.limits) {
      if (use.key != last) keys_.add(use.key, 1, use.fits ? 0 : 1, r.time);
      last = use.key;
    }
    if (verdict.refusal) rules_.add(verdict.refusal->rule->name, 1, refused ? 1 : 0, r.time);
    for (const Finding& finding : verdict.observed) rules_.add(finding.rule->name, 1, 0, r.time);
  };
  const bool all = refusal_of(r, nullptr) != nullptr;
  rule(r.message, all);
  std::int64_t refused = 0;
  for (const JudgedRecipient& judged : r.recipients) {
    const bool this_one = refusal_of(r, &judged) != nullptr;
    rule(judged.verdict, this_one);
    refused += all || this_one || judged.recipient.mta_refused ? 1 : 0;
  }
  const auto recipients = static_cast<std::int64_t>(std::max<std::size_t>(r.recipients.size(), 1));
  if (r.recipients.empty() && all) refused = 1;
  const Transaction& t = r.transaction;
  const std::string_view address = t.sender.full.empty() ? std::string_view("<>") : t.sender.full;
  senders_.add(t.user.empty() ? address : std::string_view(t.user), recipients, refused, r.time);
  clients_.add(r.connection.ip_text.empty() ? "local" : r.connection.ip_text, recipients, refused, r.time);
}

Rankings::Tables Rankings::first(std::size_t count, Instant now) const {
  const std::lock_guard lock(mutex_);
  return {senders_.first(count, now), clients_.first(count, now), rules_.first(count, now), keys_.first(count, now)};
}

}  // namespace replygate
