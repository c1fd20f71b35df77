#include "policy/scenario/proposal.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace replygate {
namespace {

// Who again and again sends so many times what nineteen of twenty keys do is no ordinary one.
constexpr double kFarMore = 5;
constexpr std::size_t kMostBursts = 100;

std::int64_t at_quantile(const std::vector<std::int64_t>& sorted, double part) {
  const double place = std::ceil(part * static_cast<double>(sorted.size())) - 1;
  return sorted[static_cast<std::size_t>(std::clamp(place, 0.0, static_cast<double>(sorted.size() - 1)))];
}

void sort_by_most(std::vector<Proposal::Named>& list) {
  std::ranges::sort(list, [](const Proposal::Named& a, const Proposal::Named& b) {
    return a.most != b.most ? a.most > b.most : a.key < b.key;
  });
}

// Whether no two days of it are other than neighbours. A day on which hardly anybody sent is none.
bool is_brief(const DemandMeter& meter) {
  constexpr std::size_t kFew = 10;  // a tenth of the busiest day's keys
  std::map<std::int64_t, std::size_t> keys;
  meter.each([&](const std::string&, const KeyDemand& demand) {
    for (const DailyPeak& peak : demand.days) ++keys[peak.day];
  });
  std::size_t most = 0;
  for (const auto& [day, count] : keys) most = std::max(most, count);
  std::erase_if(keys, [&](const auto& day) { return day.second * kFew < most; });
  return keys.empty() || keys.rbegin()->first - keys.begin()->first < 2;
}

// What keys do as a rule: once is no rule where they could have done it again.
std::int64_t ordinary(const KeyDemand& demand, bool brief) {
  const std::int64_t usual = brief ? demand.most : demand.usual();
  return usual > 0 ? usual : std::min<std::int64_t>(demand.most, 1);
}

}  // namespace

std::int64_t round_up(double number) {
  constexpr std::array<double, 9> kSteps = {1, 1.5, 2, 3, 4, 5, 6, 8, 10};
  double power = 10;
  while (power * 10 < number) power *= 10;
  for (const double step : kSteps) {
    if (step * power >= number) return std::llround(step * power);
  }
  return std::llround(power * 10);
}

std::optional<Proposal> propose(const DemandMeter& meter, double head_room) {
  if (meter.keys() < kFewestKeys) return std::nullopt;
  std::vector<std::int64_t> mosts;
  std::vector<std::int64_t> usuals;
  const bool brief = is_brief(meter);
  meter.each([&](const std::string&, const KeyDemand& demand) {
    mosts.push_back(demand.most);
    usuals.push_back(ordinary(demand, brief));
  });
  std::ranges::sort(mosts);
  std::ranges::sort(usuals);
  Proposal proposal{.window = meter.window(),
                    .keys = meter.keys(),
                    .left_out = meter.left_out(),
                    .half = at_quantile(mosts, 0.5),
                    .most_95 = at_quantile(mosts, 0.95),
                    .most_99 = at_quantile(mosts, 0.99),
                    .most = mosts.back(),
                    .brief = brief};
  const double bulk = kFarMore * static_cast<double>(at_quantile(usuals, 0.95));
  std::int64_t top = 1;
  for (const std::int64_t usual : usuals) {
    if (static_cast<double>(usual) <= bulk) top = std::max(top, usual);
  }
  proposal.limit = round_up(head_room * static_cast<double>(top));
  meter.each([&](const std::string& key, const KeyDemand& demand) {
    if (demand.capped) ++proposal.capped;
    const std::int64_t usual = demand.usual();
    Proposal::Named named{key, demand.most, usual, 0, demand.when, demand.capped};
    if (static_cast<double>(usual) > bulk && usual > proposal.limit / 2) {
      const bool again = static_cast<double>(demand.most) <= head_room * static_cast<double>(usual);
      named.limit = round_up(head_room * static_cast<double>(again ? demand.most : usual));
      if (!again) proposal.bursts.push_back(named);
      proposal.overrides.push_back(std::move(named));
    } else if (demand.most > proposal.limit) {
      proposal.bursts.push_back(std::move(named));
    }
  });
  sort_by_most(proposal.overrides);
  sort_by_most(proposal.bursts);
  if (proposal.bursts.size() > kMostBursts) proposal.bursts.resize(kMostBursts);
  return proposal;
}

}  // namespace replygate
