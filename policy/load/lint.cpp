#include "policy/load/lint.h"

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>
#include <optional>
#include <utility>

#include "policy/load/lints.h"
#include "policy/proof/solver.h"
#include "policy/proof/witness.h"

namespace replygate {
namespace {

std::string text_of(const Condition& c, bool when) {
  std::string text = when ? "when " : "unless ";
  text += c.fact.text();
  text += " = ";
  text += c.source;
  return text;
}

// Ascending.
std::vector<std::string> conditions_of(const Rule& rule) {
  std::vector<std::string> texts;
  for (const Condition& c : rule.when) texts.push_back(text_of(c, true));
  for (const Condition& c : rule.unless) texts.push_back(text_of(c, false));
  std::ranges::sort(texts);
  return texts;
}

bool answers_for_certain(const Rule& rule) { return rule.is_certain() && !std::holds_alternative<Tag>(rule.outcome); }

bool names_what_moves(const Rule& rule) {
  const auto named = [](const Condition& c) { return moves(slot_of(c.fact.fact)); };
  return std::ranges::any_of(rule.when, named) || std::ranges::any_of(rule.unless, named);
}

// Facts that a door may not know: it leaves rules that name them to another door.
constexpr FactSet kNotOfEveryDoor = bit(Fact::listener) | bit(Fact::messages) | bit(Fact::recipients) |
                                    bit(Fact::refusals) | bit(Fact::recipient_route) | bit(Fact::mta_refused) |
                                    bit(Fact::smtputf8) | bit(Fact::mailbox_used) | bit(Fact::session_age);

// Whether `earlier` is asked wherever `later` is, as far as one stage tells.
bool is_asked_with(const Rule& earlier, const Rule& later) {
  if ((earlier.facts & ~later.facts & kNotOfEveryDoor) != 0) return false;
  if (later.needs(Fact::mta_refused) && !earlier.needs(Fact::mta_refused)) return false;
  return earlier.on_unknown == OnUnknown::tempfail || later.on_unknown == OnUnknown::skip;
}

// Where both hold, the earlier has answered. At another stage other things may be true by then; sessions without EHLO
// pass over the one stage, recipients with rules of their own over the other; and local submissions, which nothing
// refuses, go on to what acts in another way or counts.
bool hides(const Rule& earlier, const Rule& later) {
  if (earlier.stage > later.stage || earlier.name == later.name || !is_asked_with(earlier, later)) return false;
  if (earlier.stage == later.stage) return true;
  return earlier.stage != Stage::helo && earlier.stage < Stage::rcpt && !names_what_moves(earlier) && later.refuses() &&
         !later.has_limits();
}

class ReachLint {
 public:
  ReachLint(Context& context, const Policy& policy) : context_(context), policy_(policy) {}

  void run() {
    for (const Rule& rule : policy_.rules()) {
      auto conditions = conditions_of(rule);
      if (const Rule* earlier = hiding(rule, conditions)) report(rule, *earlier);
      if (answers_for_certain(rule)) remember(rule, std::move(conditions));
    }
  }

 private:
  struct Earlier {
    const Rule* rule;
    std::vector<std::string> conditions;

    // Which of several is reported: by the first condition, then in the order of the file.
    auto place() const {
      return std::pair(conditions.empty() ? "" : std::string_view(conditions.front()), rule->index);
    }
  };

  // Under that condition which the fewest have so far.
  void remember(const Rule& rule, std::vector<std::string> conditions) {
    std::string rarest;
    std::optional<std::size_t> fewest;
    for (const std::string& condition : conditions) {
      const auto it = by_condition_.find(condition);
      const std::size_t count = it == by_condition_.end() ? 0 : it->second.size();
      if (fewest && *fewest <= count) continue;
      fewest = count;
      rarest = condition;
    }
    by_condition_[std::move(rarest)].push_back({&rule, std::move(conditions)});
  }

  // An earlier rule all of whose conditions are among those of `rule`.
  const Rule* hiding(const Rule& rule, const std::vector<std::string>& conditions) const {
    const Earlier* found = nullptr;
    const auto look = [&](const std::string& condition) {
      const auto it = by_condition_.find(condition);
      if (it == by_condition_.end()) return;
      for (const Earlier& earlier : it->second) {
        if (found != nullptr && found->place() <= earlier.place()) continue;
        if (hides(*earlier.rule, rule) && std::ranges::includes(conditions, earlier.conditions)) found = &earlier;
      }
    };
    look("");
    std::ranges::for_each(conditions, look);
    return found == nullptr ? nullptr : found->rule;
  }

  void report(const Rule& rule, const Rule& earlier) {
    Diagnostic& d =
        context_.warning(Rg::unreachable, head_of(rule), fmt::format("the rule \"{}\" is never reached", rule.name),
                         "remove it, or let it stand before that rule");
    d.secondary = Label{head_of(earlier), fmt::format("wherever it holds, \"{}\" has answered", earlier.name)};
  }

  Context& context_;
  const Policy& policy_;
  boost::unordered_flat_map<std::string, std::vector<Earlier>> by_condition_;  // "": those without any
};

bool answers_unknown(const Rule& rule) {
  return rule.on_unknown == OnUnknown::tempfail && !std::holds_alternative<Tag>(rule.outcome);
}

void warn_of_empty_rules(Context& context, const Policy& policy) {
  const Rule* before = nullptr;
  for (const Rule& rule : policy.rules()) {
    const bool part = before != nullptr && before->name == rule.name;
    before = &rule;
    if (part || rule.when.size() + rule.unless.size() < 2 || plainly_holds(rule, policy.site())) continue;
    Model model;
    Literals literals = literals_of(rule);
    if (answers_unknown(rule)) {
      for (Literal& literal : literals) literal.allowed |= kUnknown;
    }
    if (solve(literals, policy.site(), model) != Solved::none) continue;
    context.warning(Rg::never_holds, head_of(rule), fmt::format("the rule \"{}\" can never hold", rule.name),
                    "its conditions exclude each other");
  }
}

}  // namespace

Region head_of(const Rule& rule) {
  const Place& p = rule.place;
  return {.file = p.file, .line = p.line, .column = p.column, .end_line = p.line, .end_column = p.column + 8};
}

void lint(Context& context, const Policy& policy) {
  warn_of_empty_rules(context, policy);
  ReachLint(context, policy).run();
  warn_of_late_acceptance(context, policy);
  warn_of_unreached_steps(context, policy);
  warn_of_shared_keys(context, policy);
  warn_of_untold_externals(context, policy);
  warn_of_unknown_outcomes(context, policy);
  note_few_recipients(context, policy);
}

}  // namespace replygate
