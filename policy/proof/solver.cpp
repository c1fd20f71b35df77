#include "policy/proof/solver.h"

#include <algorithm>
#include <map>

#include "policy/decide/session.h"

namespace replygate {
namespace {

constexpr std::size_t kMostSteps = 60000;
constexpr std::size_t kMostWork = 300'000'000;  // values looked at

// A literal, and where it is decided.
struct Bound {
  std::size_t variable = 0;
  std::size_t condition = 0;
  Truths allowed = kYes;
};
struct BoundEscape {
  std::vector<Bound> literals;
  std::optional<Point> tag;
};

// What is left of a variable's values.
struct Left {
  std::vector<std::size_t> picks;
  std::vector<std::size_t> wanted;  // conditions that some header field must fulfil
  bool patterned = false;           // some pattern of which samples alone are known was asked for
  bool listed = false;              // all values that may be left are known
};

// From DATA on the number of recipients stays what it is.
Point point_for(Slot slot, Point point) {
  const auto data = static_cast<Point>(Stage::data);
  const bool later = point > data && point <= static_cast<Point>(Stage::message);
  return slot == Slot::recipients && later ? data : point;
}

Condition flag(Fact fact, bool value) { return {{fact, ""}, value, ""}; }
Condition empty_text(Fact fact) {
  TextSet set;
  set.add_exact("");
  return {{fact, ""}, std::make_shared<const TextSet>(std::move(set)), ""};
}

class Search {
 public:
  Search(const Site& site, const Offer& offer) : site_(site), offer_(offer) {}

  Solving run(const Problem& problem) {
    for (const Literal& literal : problem.literals) goal_.push_back(bind(literal));
    for (const Duty& duty : problem.duties) add(duty);
    depend();
    for (Variable& variable : variables_) variable.build(site_);
    for (const Variable& variable : variables_) {
      Left& left = left_.emplace_back();
      for (std::size_t i = 0; i < variable.picks().size(); ++i) left.picks.push_back(i);
    }
    done_.resize(duties_.size());
    if (std::ranges::all_of(goal_, [this](const Bound& b) { return demand(b); })) step();
    if (found_) return {Solved::found, Cause::none};
    if (too_much()) return {Solved::undecided, Cause::combinations};
    if (refused_) return {Solved::undecided, Cause::unproven};
    return missed_ ? Solving{Solved::undecided, Cause::patterns} : Solving{};
  }

 private:
  Slot slot_for(Fact fact) const {
    return fact == Fact::external && !site_.knows_domains() ? Slot::route : slot_of(fact);
  }

  Bound bind(const Literal& literal) {
    const FactRef& ref = literal.condition->fact;
    const Slot slot = slot_for(ref.fact);
    const Point point = moves(slot) ? point_for(slot, literal.point) : Point{0};
    auto it = std::ranges::find_if(variables_, [&](const Variable& v) { return v.is(slot, point, ref.header); });
    if (it == variables_.end()) it = variables_.emplace(variables_.end(), slot, point, ref.header);
    const auto allowed = it->many() ? static_cast<Truths>(literal.allowed & (kYes | kNo)) : literal.allowed;
    return {static_cast<std::size_t>(it - variables_.begin()), it->add(*literal.condition), allowed};
  }

  void add(const Duty& duty) {
    auto& escapes = duties_.emplace_back();
    for (const Escape& escape : duty.escapes) {
      BoundEscape bound{.literals = {}, .tag = escape.tag};
      for (const Literal& literal : escape.literals) bound.literals.push_back(bind(literal));
      escapes.push_back(std::move(bound));
    }
  }

  bool knows(Slot slot) const { return std::ranges::find(variables_, slot, &Variable::slot) != variables_.end(); }

  const Condition* own(Condition condition) { return &own_.emplace_back(std::move(condition)); }

  // Without TLS its facts are empty; without login, or with the null sender, so are others.
  void depend() {
    const auto numbers = [](std::int64_t n) { return Matcher(std::vector<NumberRange>{{n, n}}); };
    Escape plain{.literals = {{own(flag(Fact::tls, false))}}};
    for (const Fact fact : {Fact::tls_cipher, Fact::tls_subject, Fact::tls_issuer}) {
      if (knows(slot_of(fact))) plain.literals.push_back({own(empty_text(fact))});
    }
    if (knows(Slot::tls_bits)) plain.literals.push_back({own({{Fact::tls_bits, ""}, numbers(0), ""})});
    if (plain.literals.size() > 1) add({{plain, {.literals = {{own(flag(Fact::tls, true))}}}}});
    Escape nobody{.literals = {{own(flag(Fact::authenticated, false))}}};
    if (knows(Slot::mechanism)) nobody.literals.push_back({own(empty_text(Fact::auth_mechanism))});
    if (knows(Slot::mismatch)) nobody.literals.push_back({own(flag(Fact::sender_login_mismatch, false))});
    if (nobody.literals.size() > 1) add({{nobody, {.literals = {{own(flag(Fact::authenticated, true))}}}}});
    if (knows(Slot::mismatch)) {
      add({{{.literals = {{own(flag(Fact::sender_login_mismatch, false))}}},
            {.literals = {{own(flag(Fact::null_sender, false))}}}}});
    }
  }

  // What a live source says of a value nobody knows.
  bool allows(const Bound& b, std::size_t pick) const {
    const Variable& variable = variables_[b.variable];
    if (variable.open(b.condition) && variable.truth(pick, b.condition) != Truth::yes) return true;
    return (truths(variables_[b.variable].truth(pick, b.condition)) & b.allowed) != 0;
  }
  static bool wants_field(const Variable& variable, const Bound& b) { return variable.many() && b.allowed == kYes; }

  bool some_fulfils(const Left& left, const Variable& variable, std::size_t condition) const {
    return std::ranges::any_of(left.picks, [&](std::size_t p) { return variable.truth(p, condition) == Truth::yes; });
  }

  // Takes away the values that the literal excludes. False where none is left.
  bool narrow(Left& left, const Bound& b) {
    const Variable& variable = variables_[b.variable];
    work_ += left.picks.size() + 1;
    if (wants_field(variable, b)) {
      if (std::ranges::find(left.wanted, b.condition) == left.wanted.end()) left.wanted.push_back(b.condition);
    } else {
      std::erase_if(left.picks, [&](std::size_t pick) { return !allows(b, pick); });
      left.patterned |= variable.patterned(b.condition);
      left.listed |= b.allowed == kYes && variable.listed(b.condition);
    }
    if (left.picks.empty()) return miss(!variable.all() || (left.patterned && !left.listed));
    for (const std::size_t wanted : left.wanted) {
      if (some_fulfils(left, variable, wanted)) continue;
      return miss(!variable.all() || (!variable.listed(wanted) && (left.patterned || variable.patterned(wanted))));
    }
    return true;
  }

  // A value that nobody has listed may be left.
  bool miss(bool maybe) {
    missed_ |= maybe;
    return false;
  }

  bool demand(const Bound& b) { return narrow(left_[b.variable], b); }

  bool demand_all(const std::vector<Bound>& literals) {
    return std::ranges::all_of(literals, [this](const Bound& b) { return demand(b); });
  }

  bool possible(const BoundEscape& escape) {
    const std::vector<Bound>& all = escape.literals;
    if (all.size() == 1) {
      Left left = left_[all.front().variable];
      return narrow(left, all.front());
    }
    std::map<std::size_t, Left> copies;
    return std::ranges::all_of(all, [&](const Bound& b) {
      return narrow(copies.try_emplace(b.variable, left_[b.variable]).first->second, b);
    });
  }

  bool holds_already(const Bound& b) const {
    const Variable& variable = variables_[b.variable];
    const Left& left = left_[b.variable];
    if (wants_field(variable, b)) return std::ranges::find(left.wanted, b.condition) != left.wanted.end();
    return std::ranges::all_of(left.picks, [&](std::size_t pick) { return allows(b, pick); });
  }

  const BoundEscape* done(const std::vector<BoundEscape>& escapes) const {
    const auto it = std::ranges::find_if(escapes, [this](const BoundEscape& escape) {
      return std::ranges::all_of(escape.literals, [this](const Bound& b) { return holds_already(b); });
    });
    return it == escapes.end() ? nullptr : &*it;
  }

  // The open duty with the fewest ways to do it. False where one has none.
  bool choose(std::optional<std::size_t>& duty, std::vector<const BoundEscape*>& ways) {
    for (std::size_t i = 0; i < duties_.size(); ++i) {
      if (done_[i] || done(duties_[i]) != nullptr) continue;
      std::vector<const BoundEscape*> possible_ways;
      for (const BoundEscape& escape : duties_[i]) {
        if (possible(escape)) possible_ways.push_back(&escape);
      }
      if (possible_ways.empty()) return false;
      if (duty && ways.size() <= possible_ways.size()) continue;
      duty = i;
      ways = std::move(possible_ways);
      if (ways.size() == 1) return true;
    }
    return true;
  }

  bool ended() const { return found_ || enough_ || too_much(); }
  bool too_much() const { return steps_ > kMostSteps || work_ > kMostWork; }

  void step() {
    ++steps_;
    if (too_much()) return;
    std::optional<std::size_t> duty;
    std::vector<const BoundEscape*> ways;
    if (!choose(duty, ways)) return;
    if (!duty) return offer();
    const std::vector<Left> before = left_;
    done_[*duty] = true;
    for (const BoundEscape* way : ways) {
      const std::vector<Left> here = left_;
      for (const Left& left : here) work_ += left.picks.size();
      tags_.push_back(way->tag);
      if (demand_all(way->literals)) step();
      tags_.pop_back();
      left_ = here;
      // The other ways need not look where this one has looked.
      if (ended() || (way->literals.size() == 1 && !demand(contrary(way->literals.front())))) break;
    }
    done_[*duty] = false;
    left_ = before;
  }

  // Conditions on header fields are never unknown.
  Bound contrary(Bound b) const {
    const Truths all = variables_[b.variable].many() ? kYes | kNo : kYes | kNo | kUnknown;
    b.allowed = static_cast<Truths>(all & ~b.allowed);
    return b;
  }

  Choice choice(std::size_t index) const {
    const Variable& variable = variables_[index];
    const Left& left = left_[index];
    Choice result{.variable = &variable, .picks = {}};
    for (const std::size_t wanted : left.wanted) {
      const auto fulfils = [&](std::size_t p) { return variable.truth(p, wanted) == Truth::yes; };
      if (std::ranges::any_of(result.picks, fulfils)) continue;
      result.picks.push_back(*std::ranges::find_if(left.picks, fulfils));
    }
    if (result.picks.empty()) result.picks.push_back(left.picks.front());
    return result;
  }

  void offer() {
    Solution solution;
    for (std::size_t i = 0; i < variables_.size(); ++i) solution.choices.push_back(choice(i));
    for (const auto& tag : tags_) {
      if (tag) solution.tags.push_back(*tag);
    }
    for (std::size_t i = 0; i < duties_.size(); ++i) {
      const BoundEscape* way = done_[i] ? nullptr : done(duties_[i]);
      if (way != nullptr && way->tag) solution.tags.push_back(*way->tag);
    }
    const Taken taken = offer_(solution);
    found_ = taken == Taken::yes;
    enough_ = taken == Taken::enough;
    refused_ |= taken != Taken::yes;
  }

  const Site& site_;
  const Offer& offer_;
  std::vector<Variable> variables_;
  std::vector<Bound> goal_;
  std::vector<std::vector<BoundEscape>> duties_;
  std::deque<Condition> own_;
  std::vector<Left> left_;
  std::vector<bool> done_;
  std::vector<std::optional<Point>> tags_;
  std::size_t steps_ = 0;
  std::size_t work_ = 0;
  bool found_ = false;
  bool enough_ = false;
  bool refused_ = false;
  bool missed_ = false;
};

}  // namespace

Literals literals_of(const Rule& rule, Point point) {
  Literals literals;
  literals.reserve(rule.when.size() + rule.unless.size());
  for (const Condition& c : rule.when) literals.push_back({&c, kYes, point});
  for (const Condition& c : rule.unless) literals.push_back({&c, kNo, point});
  return literals;
}

Solving search(const Problem& problem, const Site& site, const Offer& offer) {
  return Search(site, offer).run(problem);
}

Solved solve(const Literals& literals, const Site& site, Model& model) {
  const auto take = [&](const Solution& solution) {
    model = {};
    model.zone = &site.zone;
    model.recipient.external = is_external(model.recipient, site);
    for (const Choice& choice : solution.choices) {
      for (const std::size_t pick : choice.picks) {
        model.set(choice.variable->slot(), choice.variable->header(), choice.variable->picks()[pick], site);
      }
    }
    return Taken::yes;
  };
  return search({.literals = literals, .duties = {}}, site, take).solved;
}

}  // namespace replygate
