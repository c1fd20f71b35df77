#include <algorithm>

#include "policy/load/lints.h"
#include "policy/proof/solver.h"

namespace replygate {
namespace {

constexpr std::size_t kMostPairs = 5000;  // that are looked at, for the time that it takes

// What the rule does to a message; "" for nothing that one could be kept from.
std::string_view word_for(const Rule& rule) {
  if (rule.refuses()) return "refusing";
  if (std::holds_alternative<Hold>(rule.outcome)) return "holding";
  return std::holds_alternative<Discard>(rule.outcome) ? "discarding" : "";
}

bool may_be_too_late_for(const Rule& acceptor, const Rule& other) {
  return other.index > acceptor.index && other.stage < acceptor.stage && other.mode == Mode::enforce &&
         !word_for(other).empty();
}

bool hold_together(const Rule& a, const Rule& b, const Site& site) {
  Literals literals = literals_of(a);
  for (Literal& literal : literals_of(b)) literals.push_back(literal);
  Model model;
  return solve(literals, site, model) == Solved::found;
}

// What can be judged later is; sessions are counted before there is anything to accept.
std::string help_against_lateness(const Rule& acceptor, const Rule& other) {
  if (other.counts(Unit::connections)) return fmt::format("let facts of the client narrow \"{}\"", other.name);
  return fmt::format("write at = \"{}\" in the rule \"{}\", or name in its unless what is to pass",
                     to_string(acceptor.stage), other.name);
}

void report_late(Context& context, const Rule& acceptor, const Rule& other) {
  Diagnostic& d = context.warning(Rg::cannot_shield, head_of(acceptor),
                                  fmt::format("\"{}\" accepts at {}, too late to keep \"{}\" from {}", acceptor.name,
                                              to_string(acceptor.stage), other.name, word_for(other)),
                                  help_against_lateness(acceptor, other));
  d.secondary = Label{head_of(other), fmt::format("judged before, at {}", to_string(other.stage))};
}

}  // namespace

void warn_of_late_acceptance(Context& context, const Policy& policy) {
  std::size_t pairs = 0;
  for (const Rule& acceptor : policy.rules()) {
    if (!std::holds_alternative<Accept>(acceptor.outcome) || acceptor.mode != Mode::enforce) continue;
    for (const Rule& other : policy.rules()) {
      if (!may_be_too_late_for(acceptor, other) || ++pairs > kMostPairs) continue;
      if (!hold_together(acceptor, other, policy.site())) continue;
      report_late(context, acceptor, other);
      break;
    }
  }
}

}  // namespace replygate
