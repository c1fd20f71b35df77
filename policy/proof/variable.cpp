#include "policy/proof/variable.h"

#include <algorithm>
#include <set>

#include "policy/proof/vocabulary.h"

namespace replygate {
namespace {

constexpr std::size_t kMostQuestions = 20'000'000;

// Of facts whose text is the whole value.
bool is_whole(Fact fact) {
  switch (fact) {
    case Fact::client_net:
    case Fact::sender_local:
    case Fact::sender_domain:
    case Fact::user_local:
    case Fact::user_domain:
    case Fact::recipient_local:
    case Fact::recipient_domain: return false;
    default: return true;
  }
}

bool is_any_run(const std::string& glob) { return glob.find_first_not_of('*') == std::string::npos; }

}  // namespace

std::size_t Variable::add(const Condition& condition) {
  const auto it = std::ranges::find(conditions_, &condition);
  if (it != conditions_.end()) return static_cast<std::size_t>(it - conditions_.begin());
  conditions_.push_back(&condition);
  traits_.push_back(traits_of(condition));
  return conditions_.size() - 1;
}

Variable::Traits Variable::traits_of(const Condition& condition) const {
  const auto* set = std::get_if<std::shared_ptr<const TextSet>>(&condition.matcher);
  if (set == nullptr) return {};
  TextParts parts;
  (*set)->collect(parts);
  const auto is_plain = [&](const std::string& glob) {
    return is_any_run(glob) || domain_of_glob(condition.fact.fact, glob);
  };
  const bool patterned = parts.expressions || !std::ranges::all_of(parts.globs, is_plain);
  const bool exact = parts.trees.empty() && parts.at_domains.empty() && parts.locals.empty() && parts.globs.empty();
  return {.patterned = patterned,
          .listed = !patterned && exact && condition.live.empty() && is_whole(condition.fact.fact)};
}

bool Variable::is(Slot slot, Point point, const std::string& header) const {
  return slot_ == slot && point_ == point && header_ == header;
}

Signature Variable::signature(const Pick& pick, const Site& site) const {
  Signature result;
  result.reserve(conditions_.size());
  for (const Condition* condition : conditions_) {
    result += static_cast<char>(truth_of(*condition, slot_, pick, site));
  }
  return result;
}

void Variable::build(const Site& site) {
  std::vector<const Condition*> conditions = conditions_;
  // Whether a recipient is external is a question to these lists.
  const Condition local{{Fact::recipient_domain, ""}, site.local_domains, ""};
  const Condition relayed{{Fact::recipient_domain, ""}, site.relay_domains, ""};
  const bool external =
      std::ranges::any_of(conditions_, [](const Condition* c) { return c->fact.fact == Fact::external; });
  if (external && slot_ == Slot::recipient) {
    for (const Condition* list : {&local, &relayed}) {
      conditions.push_back(list);
      const bool patterned = traits_of(*list).patterned;
      for (Traits& traits : traits_) traits.patterned |= patterned;
    }
  }
  // Any tag makes one more address that an exact pattern matches.
  const bool tagged = slot_ == Slot::sender || slot_ == Slot::recipient || slot_ == Slot::user;
  for (Traits& traits : traits_) traits.listed &= !tagged || site.subaddress.empty();
  const auto sign = [&](const Pick& pick) { return signature(pick, site); };
  Picks found = candidates(slot_, conditions, site, sign);
  all_ = found.all;
  std::set<Signature> seen;
  for (Pick& pick : found.picks) {
    if (picks_.size() * (conditions_.size() + 1) > kMostQuestions) {
      all_ = false;
      return;
    }
    Signature signature = sign(pick);
    if (!seen.insert(signature).second) continue;
    picks_.push_back(std::move(pick));
    signatures_.push_back(std::move(signature));
  }
}

}  // namespace replygate
