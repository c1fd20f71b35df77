#include <algorithm>

#include "policy/load/rule_counting.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostFloor = 1'000'000;
constexpr std::string_view kFloorUnit = "recipients";

void set_floors(Limits& limits, std::int64_t floor) {
  for (Limit& limit : limits) {
    if (limit.share > 0) limit.set_floor(floor);
  }
}

// What a source says is not understood where the rule has no floor for it.
std::optional<OwnLimits> without_shares(std::optional<OwnLimits> own) {
  const auto is_share = [](const Limit& limit) { return limit.share > 0; };
  return own && std::ranges::any_of(own->limits, is_share) ? std::nullopt : std::move(own);
}

// "50 recipients"; nothing for anything else.
std::optional<std::int64_t> floor_in(const Node& node) {
  const std::string_view text = node.kind == Node::Kind::string ? trim(node.string) : "";
  const std::size_t blank = text.find(' ');
  if (blank == std::string_view::npos || trim(text.substr(blank)) != kFloorUnit) return std::nullopt;
  const auto count = parse_count(text.substr(0, blank));
  return count && *count >= 1 && *count <= kMostFloor ? count : std::nullopt;
}

// The number that is meant, where one is written.
std::int64_t meant_floor(const Node& node) {
  const auto number = node.kind == Node::Kind::integer
                          ? std::optional(node.integer)
                          : parse_count(trim(node.string).substr(0, trim(node.string).find(' ')));
  return std::clamp<std::int64_t>(number.value_or(50), 1, kMostFloor);
}

}  // namespace

// Below that many a share says nothing.
void RuleCounting::at_least(const Entry* entry) {
  LiveLimits& live = rule_.overrides.live;
  if (entry == nullptr) {
    if (live.source != nullptr)
      live.read = [read = live.read](std::string_view said) { return without_shares(read(said)); };
    if (shares_.empty()) return;
    context_.error(Rg::share_limit, shares_.front(), "a share of few recipients says nothing",
                   "add for instance at_least = \"50 recipients\"");
    return;
  }
  if (shares_.empty() && live.source == nullptr) {
    if (has_failed_) return;
    context_.error(Rg::share_limit, entry->key_region, "at_least is for limits that are a share",
                   "write for instance limit = \"10% hard_bounces / 1h\"");
    return;
  }
  const auto floor = floor_in(entry->value);
  if (!floor) {
    context_.error(Rg::share_limit, entry->value.region, "at_least is a number of recipients, 1 to 1000000",
                   fmt::format("write at_least = \"{} recipients\"", meant_floor(entry->value)));
    return;
  }
  each_limit(rule_, [&](Limits& limits) { set_floors(limits, *floor); });
  if (live.source == nullptr) return;
  live.read = [read = live.read, floor = *floor](std::string_view said) {
    auto own = read(said);
    if (own) set_floors(own->limits, floor);
    return own;
  };
}

}  // namespace replygate
