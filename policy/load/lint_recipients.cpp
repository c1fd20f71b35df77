#include <algorithm>
#include <optional>

#include "policy/load/lints.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kLeastRecipients = 100;  // RFC 5321 §4.5.3.1.8

std::optional<std::int64_t> smaller(std::optional<std::int64_t> a, std::int64_t b) { return a ? std::min(*a, b) : b; }

// Up to which number recipients pass a condition; nothing: it sets no such bound.
std::optional<std::int64_t> bound_of(const Condition& c, bool refuses) {
  const auto* ranges = std::get_if<std::vector<NumberRange>>(&c.matcher);
  if (c.fact.fact != Fact::recipients || ranges == nullptr || ranges->size() != 1) return std::nullopt;
  const NumberRange& range = ranges->front();
  if (range.inverse || range.least > range.most) return std::nullopt;
  constexpr auto kNoBound = std::numeric_limits<std::int64_t>::max();
  if (refuses) return range.most == kNoBound ? std::optional(range.least - 1) : std::nullopt;
  return range.least <= 1 && range.most != kNoBound ? std::optional(range.most) : std::nullopt;
}

// How many recipients of one message the rule lets pass; nothing: it does not count them.
std::optional<std::int64_t> most_recipients(const Rule& rule) {
  std::optional<std::int64_t> most;
  for (const Condition& c : rule.when) {
    if (const auto bound = bound_of(c, true)) most = smaller(most, *bound);
  }
  for (const Condition& c : rule.unless) {
    if (const auto bound = bound_of(c, false)) most = smaller(most, *bound);
  }
  for (const Limit& limit : rule.limits) {
    const bool recipients = limit.unit == Unit::recipients || limit.unit == Unit::distinct_recipients;
    if (recipients && limit.scope == Scope::message) most = smaller(most, limit.most);
  }
  return most;
}

// Delivery reports have one recipient (RFC 3464): what more it lets in is no matter of how many senders address at
// once.
bool is_for_reports(const Rule& rule) {
  return std::ranges::any_of(rule.when, [](const Condition& c) {
    return c.fact.fact == Fact::null_sender && matches(c.matcher, Value(true)) == Truth::yes &&
           matches(c.matcher, Value(false)) == Truth::no;
  });
}

bool asks_whether_external(const Rule& rule) {
  const auto named = rule.named_facts();
  return std::ranges::find(named, Fact::external, &FactRef::fact) != named.end();
}

}  // namespace

void note_few_recipients(Context& context, const Policy& policy) {
  for (const Rule& rule : policy.rules()) {
    const auto most = most_recipients(rule);
    if (!rule.refuses() || is_for_reports(rule) || rule.mode != Mode::enforce || !most || *most < 1 ||
        *most >= kLeastRecipients)
      continue;
    context.note(
        Rg::few_recipients, head_of(rule),
        fmt::format("\"{}\" lets {} into a message", rule.name, counted(*most, "recipient")),
        fmt::format("RFC 5321 asks servers to take {}: senders may send to so many at once", kLeastRecipients));
  }
}

void warn_of_untold_externals(Context& context, const Policy& policy) {
  if (policy.site().knows_domains()) return;
  for (const Rule& rule : policy.rules()) {
    if (!asks_whether_external(rule)) continue;
    context.warning(
        Rg::external_untold, head_of(rule),
        fmt::format("\"{}\" asks whether recipients are external, and no domain is said to be ours", rule.name),
        "name local_domains and relay_domains in [site]; without them the MTA's mailer decides, and what it "
        "leaves open is unknown");
  }
}

}  // namespace replygate
