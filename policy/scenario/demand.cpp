#include "policy/scenario/demand.h"

#include <algorithm>
#include <cstdlib>

namespace replygate {
namespace {

constexpr std::int64_t kSlots = 60;  // of a window

std::int64_t day_of(Instant time) { return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count(); }

}  // namespace

std::int64_t KeyDemand::usual() const {
  std::vector<DailyPeak> sorted(days.begin(), days.end());
  std::ranges::sort(sorted, std::ranges::greater(), &DailyPeak::most);
  for (std::size_t i = 1; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (std::abs(sorted[i].day - sorted[j].day) >= 2) return sorted[i].most;
    }
  }
  return 0;
}

DemandMeter::Meter* DemandMeter::find(std::string_view key) {
  const auto found = meters_.find(std::string(key));
  if (found != meters_.end()) return &found->second;
  if (meters_.size() < kMostKeys) return &meters_[std::string(key)];
  ++left_out_;
  return nullptr;
}

void DemandMeter::add(std::string_view key, Instant time, std::int64_t count) {
  Meter* meter = find(key);
  if (meter == nullptr) return;
  const std::int64_t slot = time.time_since_epoch() / (window_ / kSlots);
  if (meter->slots.empty() || meter->slots.back().first < slot) meter->slots.emplace_back(slot, 0);
  meter->slots.back().second += count;
  meter->sum += count;
  while (meter->slots.front().first + kSlots < slot) {
    meter->sum -= meter->slots.front().second;
    meter->slots.pop_front();
  }
  KeyDemand& demand = meter->demand;
  const std::int64_t day = day_of(time);
  if (demand.days.empty() || demand.days.back().day < day) demand.days.push_back({day, 0});
  demand.days.back().most = std::max(demand.days.back().most, meter->sum);
  if (meter->sum <= demand.most) return;
  demand.most = meter->sum;
  demand.when = time;
}

void DemandMeter::cap(std::string_view key) {
  if (Meter* meter = find(key)) meter->demand.capped = true;
}

}  // namespace replygate
