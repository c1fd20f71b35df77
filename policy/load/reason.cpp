#include "policy/load/reason.h"

#include <algorithm>
#include <array>
#include <limits>

namespace replygate {
namespace {

constexpr auto kNoEnd = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kFull = 100;  // percent

bool is_flag(const Condition& c, bool wanted) {
  const auto* flag = std::get_if<bool>(&c.matcher);
  return flag != nullptr && *flag == wanted;
}

bool is_false(const Condition& c) { return is_flag(c, false); }
bool is_true_flag(const Condition& c) { return is_flag(c, true); }

// "> 100": everything from some number on.
bool is_from(const Condition& c, std::int64_t least) {
  const auto* ranges = std::get_if<std::vector<NumberRange>>(&c.matcher);
  if (ranges == nullptr || ranges->size() != 1) return false;
  const NumberRange& range = ranges->front();
  return !range.inverse && range.most == kNoEnd && range.least >= least;
}

bool is_too_many(const Condition& c) { return is_from(c, 2); }
bool is_full(const Condition& c) { return is_from(c, kFull); }

// The MTA's word for a client whose address has no verified name.
bool is_unverified(const Condition& c) {
  const auto* texts = std::get_if<std::shared_ptr<const TextSet>>(&c.matcher);
  return texts != nullptr && (*texts)->is_list() && (*texts)->entries() == 1 && (*texts)->exact().contains("unknown");
}

struct FactReason {
  Fact fact;
  bool (*states)(const Condition&);
  std::string_view slug;
};

constexpr std::array kReasons = {
    FactReason{Fact::client_name, is_unverified, "reverse-dns-failed"},
    FactReason{Fact::recipients, is_too_many, "too-many-recipients"},
    FactReason{Fact::messages, is_too_many, "too-many-messages"},
    FactReason{Fact::declared_size, is_too_many, "message-too-big"},
    FactReason{Fact::size, is_too_many, "message-too-big"},
    FactReason{Fact::mailbox_used, is_full, "mailbox-full"},
    FactReason{Fact::recipient_dead, is_true_flag, "unknown-user"},
    FactReason{Fact::external, is_true_flag, "relay-denied"},
    FactReason{Fact::authenticated, is_false, "authentication-required"},
    FactReason{Fact::tls, is_false, "starttls-required"},
};

const Classification* stated_by(const Condition& condition) {
  const auto it = std::ranges::find(kReasons, condition.fact.fact, &FactReason::fact);
  return it != kReasons.end() && it->states(condition) ? find_classification(it->slug) : nullptr;
}

// Of a limit within one message or session its number is the reason; over a time it can be anything.
const Classification* stated_by(const Limit& limit) {
  if (limit.in_store()) return nullptr;
  switch (limit.unit) {
    case Unit::recipients:
    case Unit::distinct_recipients:
      return limit.scope == Scope::message ? find_classification("too-many-recipients") : nullptr;
    case Unit::messages: return find_classification("too-many-messages");
    case Unit::bytes: return limit.scope == Scope::message ? find_classification("message-too-big") : nullptr;
    default: return nullptr;
  }
}

// Refuses every recipient that is not in the site's domains, whatever else lets it pass.
bool denies_relaying(const Rule& rule) {
  return rule.when.empty() && std::ranges::any_of(rule.unless, [](const Condition& c) {
           return c.fact.fact == Fact::recipient_domain && c.source.find("\"$local_domains\"") != std::string::npos;
         });
}

}  // namespace

const Classification* reason_of(const Rule& rule) {
  if (rule.greylist) return find_classification("greylisted");
  if (rule.limited) return rule.limits.size() == 1 ? stated_by(rule.limits.front()) : nullptr;
  if (denies_relaying(rule)) return find_classification("relay-denied");
  return rule.when.size() == 1 ? stated_by(rule.when.front()) : nullptr;
}

}  // namespace replygate
