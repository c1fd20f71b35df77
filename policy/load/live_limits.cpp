#include "policy/load/live_limits.h"

#include <algorithm>

#include "policy/load/numbers.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::string_view kUnlimited = "unlimited";

bool add_exemption(std::string_view unit, OwnLimits& own) {
  unit = trim(unit);
  if (unit.empty()) return own.all = true;
  const auto exempt = unit_from(unit);
  if (exempt) own.exempt.push_back(*exempt);
  return exempt.has_value();
}

bool add_live_limit(Context& context, std::string_view text, OwnLimits& own) {
  const Node node{.kind = Node::Kind::string, .region = {}, .string = std::string(text)};
  const auto limit = parse_limit(context, node);
  const bool sliding = limit && (limit->unit == Unit::distinct_recipients || counts_outcomes(limit->unit));
  if (!limit || (sliding && limit->scope != Scope::window)) return false;
  const auto same = [&](const Limit& l) { return l.unit == limit->unit && l.period_text() == limit->period_text(); };
  if (std::ranges::any_of(own.limits, same)) return false;
  own.limits.push_back(*limit);
  return true;
}

}  // namespace

std::optional<OwnLimits> read_live_limits(std::string_view text) {
  static const ReadSource kNothing = [](const DataSource&, std::string&) { return std::nullopt; };
  Context context("", kNothing);
  OwnLimits own;
  for (const std::string_view part : split(text, ',')) {
    const std::string_view said = trim(part);
    const bool exempts = to_lower(said).starts_with(kUnlimited);
    const bool understood =
        exempts ? add_exemption(said.substr(kUnlimited.size()), own) : add_live_limit(context, said, own);
    if (!understood) return std::nullopt;
  }
  return own;
}

}  // namespace replygate
