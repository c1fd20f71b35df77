#include "policy/count/raise.h"

#include <algorithm>

#include "policy/mail/quantity.h"

namespace replygate {
namespace {

std::int64_t scaled(std::int64_t number, std::int64_t percent) {
  return number > kMostQuantity / percent ? std::max(number, kMostQuantity) : number * percent / 100;
}

}  // namespace

Limit raised(Limit limit, const Raises& raises, std::string_view rule, std::string_view key, Instant now) {
  std::int64_t percent = 100;
  for (const Raise& raise : raises) {
    const bool holds = raise.key == key && (raise.rule.empty() || raise.rule == rule) && now < raise.until;
    if (holds) percent = std::max(percent, raise.percent);
  }
  if (percent == 100) return limit;
  limit.most = scaled(limit.most, percent);
  limit.burst = scaled(limit.burst, percent);
  limit.share = scaled(limit.share, percent);
  if (limit.share > 0) limit.set_floor(limit.floor);
  return limit;
}

}  // namespace replygate
