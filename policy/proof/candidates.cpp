#include "policy/proof/candidates.h"

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "policy/mail/text.h"
#include "policy/proof/vocabulary.h"

namespace replygate {
namespace {

using Conditions = std::span<const Condition* const>;

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMinutesOfDay = 24 * 60;

struct Span {
  std::int64_t least = 0;
  std::int64_t most = kMost;
  std::int64_t likely = 0;
};

Span span_of(Slot slot) {
  switch (slot) {
    case Slot::client_port: return {0, 65535, 40000};
    case Slot::tls_bits: return {0, kMost, 256};
    case Slot::messages: return {1, kMost, 1};
    case Slot::recipients: return {0, kMost, 1};
    case Slot::mailbox: return {0, kMost, 10};
    case Slot::header_count: return {0, kMost, 5};
    case Slot::size: return {2, kMost, 1000};  // the line behind the headers
    default: return {};
  }
}

// Both ends of all ranges and their neighbours, nearest to `likely` first.
std::vector<std::int64_t> numbers_of(Conditions conditions, Fact fact, const Span& span) {
  std::set<std::int64_t> values = {span.likely, span.least};
  const auto add = [&](std::int64_t value) {
    if (value >= span.least && value <= span.most) values.insert(value);
  };
  for (const Condition* condition : conditions) {
    const auto* ranges = std::get_if<std::vector<NumberRange>>(&condition->matcher);
    if (ranges == nullptr || condition->fact.fact != fact) continue;
    for (const NumberRange& range : *ranges) {
      add(range.least);
      add(range.most);
      if (range.least > span.least) add(range.least - 1);
      if (range.most < span.most) add(range.most + 1);
    }
  }
  std::vector<std::int64_t> result(values.begin(), values.end());
  const auto distance = [&](std::int64_t v) { return v > span.likely ? v - span.likely : span.likely - v; };
  std::ranges::stable_sort(result, {}, distance);
  return result;
}

Picks numbers(Slot slot, Conditions conditions) {
  Picks result;
  const Fact fact = conditions.empty() ? Fact::size : conditions.front()->fact.fact;
  for (const std::int64_t number : numbers_of(conditions, fact, span_of(slot))) {
    result.picks.push_back({.text = {}, .number = number, .ip = {}});
  }
  if (slot == Slot::mailbox) {
    result.picks.push_back({.text = {}, .number = -1, .ip = {}});
    result.picks.push_back({.text = {}, .ip = {}, .known = false});
  }
  return result;
}

Picks clocks(Conditions conditions) {
  const auto minutes = numbers_of(conditions, Fact::time, {0, kMinutesOfDay - 1, 600});
  Picks result;
  for (std::int64_t day = 0; day < 7; ++day) {
    for (const std::int64_t minute : minutes) {
      result.picks.push_back({.text = {}, .number = day * kMinutesOfDay + minute, .ip = {}});
    }
  }
  return result;
}

Picks flags() { return {.picks = {{.text = {}, .number = 0, .ip = {}}, {.text = {}, .number = 1, .ip = {}}}}; }

// Where a network of the conditions begins, or the first address behind one.
std::set<IpAddress> edges(Conditions conditions) {
  std::set<IpAddress> result = {IpAddress()};
  const auto add = [&](const IpAddress& first, const IpAddress& last) {
    result.insert(first);
    if (const auto after = next_address(last)) result.insert(*after);
  };
  for (const Condition* condition : conditions) {
    if (const auto* set = std::get_if<std::shared_ptr<const NetworkSet>>(&condition->matcher)) {
      (*set)->each_range(add);
    }
    if (const auto* set = std::get_if<std::shared_ptr<const TextSet>>(&condition->matcher)) {
      TextParts parts;
      (*set)->collect(parts);
      for (const std::string_view text : parts.exact) {
        if (const auto network = IpNetwork::parse(text)) add(network->first(), network->last());
      }
    }
  }
  const auto mapped = IpNetwork::parse("0.0.0.0/0");  // networks of both families are cut differently
  add(mapped->first(), mapped->last());
  return result;
}

Picks clients(Conditions conditions) {
  Picks result;
  for (const std::string_view text : {"203.0.113.7", "198.51.100.7", "2001:db8::7"}) {
    result.picks.push_back({.text = {}, .ip = IpAddress::parse(text)});
  }
  std::vector<Pick> six;
  for (const IpAddress& edge : edges(conditions)) {
    (edge.is_v4() ? result.picks : six).push_back({.text = {}, .ip = edge});
  }
  result.picks.insert(result.picks.end(), six.begin(), six.end());
  result.picks.push_back({});
  return result;
}

std::vector<std::string> likely_texts(Slot slot, const Vocabulary& words) {
  switch (slot) {
    case Slot::client_name: return {"unknown"};
    case Slot::listener: return {"smtp"};
    case Slot::helo: return {"client.invalid"};
    case Slot::tls_version: return {"TLSv1.3", "TLSv1.2", "TLSv1.1", "TLSv1", "SSLv3"};
    case Slot::tls_cipher: return {"TLS_AES_256_GCM_SHA384"};
    case Slot::mechanism: return {"PLAIN"};
    case Slot::route: return {"smtp", words.fresh(), "local", "virtual", "relay"};
    case Slot::queue_id: return {"4abc"};
    case Slot::digest: return {"00"};
    default: return {};
  }
}

Picks texts(Slot slot, Conditions conditions) {
  const Vocabulary words(conditions);
  Picks result;
  for (std::string& text : likely_texts(slot, words)) result.picks.push_back({.text = std::move(text), .ip = {}});
  for (std::string& text : words.texts(result.all)) result.picks.push_back({.text = std::move(text), .ip = {}});
  result.picks.push_back({.text = "", .ip = {}});
  if (slot == Slot::route) result.picks.push_back({.text = {}, .ip = {}, .known = false});
  return result;
}

}  // namespace

Picks candidates(Slot slot, Conditions conditions, const Site& site,
                 const std::function<Signature(const Pick&)>& signature) {
  switch (slot) {
    case Slot::client: return clients(conditions);
    case Slot::sender:
    case Slot::recipient: {
      Picks result = addresses(conditions, site, signature);
      result.picks.push_back({});
      if (slot == Slot::sender) result.picks.push_back({.text = {}, .number = 1, .ip = {}});
      return result;
    }
    case Slot::smtputf8:
    case Slot::mismatch:
    case Slot::dead:
    case Slot::mta_refused: return flags();
    case Slot::clock: return clocks(conditions);
    case Slot::client_port:
    case Slot::tls_bits:
    case Slot::declared_size:
    case Slot::messages:
    case Slot::refusals:
    case Slot::recipients:
    case Slot::mailbox:
    case Slot::header_count:
    case Slot::size:
    case Slot::age: return numbers(slot, conditions);
    default: return texts(slot, conditions);
  }
}

}  // namespace replygate
