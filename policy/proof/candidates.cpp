#include "policy/proof/candidates.h"

#include <algorithm>
#include <set>
#include <utility>

namespace replygate {
namespace {

using Range = std::pair<IpAddress, IpAddress>;

constexpr std::size_t kMostExamples = 1000;

IpAddress last_of_all() {
  IpAddress::Bytes bytes;
  bytes.fill(0xff);
  return IpAddress(bytes);
}

// What of `from` is in `set`, which is sealed; or what is not.
std::vector<Range> restricted(const std::vector<Range>& from, const NetworkSet& set, bool inside) {
  std::vector<Range> result;
  for (const Range& range : from) {
    IpAddress at = range.first;
    bool rest = true;
    for (const Range& member : set.ranges()) {
      if (member.second < at) continue;
      if (member.first > range.second) break;
      if (inside) result.emplace_back(std::max(at, member.first), std::min(range.second, member.second));
      if (!inside && member.first > at) result.emplace_back(at, *previous_address(member.first));
      if (member.second >= range.second) {
        rest = false;
        break;
      }
      at = *next_address(member.second);
    }
    if (!inside && rest) result.emplace_back(at, range.second);
  }
  return result;
}

}  // namespace

Texts text_candidates(std::span<const Literal> literals, const FactRef& fact, std::string_view fresh) {
  Texts result;
  result.values.emplace_back(fresh);
  for (const Literal& literal : literals) {
    const auto* set = std::get_if<std::shared_ptr<const TextSet>>(&literal.condition->matcher);
    if (set == nullptr || !(literal.condition->fact == fact) || !literal.holds) continue;
    result.complete &= (*set)->examples(result.values, kMostExamples);
  }
  result.values.emplace_back();
  return result;
}

std::vector<std::int64_t> number_candidates(std::span<const Literal> literals, Fact fact, std::int64_t least,
                                            std::int64_t most, std::int64_t first) {
  std::set<std::int64_t> values = {std::clamp(first, least, most)};
  const auto add = [&](std::int64_t value) {
    if (value >= least && value <= most) values.insert(value);
  };
  for (const Literal& literal : literals) {
    const auto* ranges = std::get_if<std::vector<NumberRange>>(&literal.condition->matcher);
    if (ranges == nullptr || literal.condition->fact.fact != fact) continue;
    for (const NumberRange& range : *ranges) {
      add(range.least);
      add(range.most);
      if (range.least > least) add(range.least - 1);
      if (range.most < most) add(range.most + 1);
    }
  }
  std::vector<std::int64_t> result(values.begin(), values.end());
  const auto distance = [&](std::int64_t value) { return value > first ? value - first : first - value; };
  std::ranges::stable_sort(result, {}, distance);
  return result;
}

std::vector<IpAddress> address_candidates(std::span<const Literal> literals) {
  std::vector<Range> left = {{IpAddress(), last_of_all()}};
  std::vector<IpAddress> result;
  for (const std::string_view text : {"203.0.113.7", "198.51.100.7", "2001:db8::7"}) {
    result.push_back(IpAddress::parse(text).value());
  }
  for (const Literal& literal : literals) {
    const auto* set = std::get_if<std::shared_ptr<const NetworkSet>>(&literal.condition->matcher);
    if (set != nullptr && literal.condition->fact.fact == Fact::client_ip) {
      left = restricted(left, **set, literal.holds);
    }
  }
  std::stable_partition(left.begin(), left.end(), [](const Range& range) { return range.first.is_v4(); });
  if (left.size() > kMostExamples) left.resize(kMostExamples);
  for (const Range& range : left) result.push_back(range.first);
  return result;
}

}  // namespace replygate
