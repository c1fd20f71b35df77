#include "policy/proof/relay.h"

#include <algorithm>
#include <deque>

#include "policy/decide/inquiry.h"
#include "policy/proof/moments.h"
#include "policy/proof/rehearsal.h"

namespace replygate {
namespace {

constexpr std::size_t kMostOffers = 20;
constexpr std::size_t kMostMoved = 5;  // offers that are tried at other times, too

// Which rules a door asks. The second one leaves some to the milter, and cannot discard.
enum class ProofDoor : std::uint8_t { milter, second };

bool asks(ProofDoor door, const Rule& rule) {
  if (door == ProofDoor::milter) return true;
  return rule.stage <= Stage::rcpt && !rule.has_limits() && (rule.facts & kBeyondDelegation) == 0 &&
         !std::holds_alternative<Discard>(rule.outcome);
}

Point point_of(Stage stage) { return static_cast<Point>(stage); }

bool guards(const Rule& rule) {
  return rule.is_certain() && (rule.refuses() || std::holds_alternative<Discard>(rule.outcome));
}
// Perhaps: over a limit, or for a share of the keys.
bool lets_through(const Rule& rule) {
  return rule.mode == Mode::enforce &&
         (std::holds_alternative<Accept>(rule.outcome) || std::holds_alternative<Hold>(rule.outcome));
}
// Once `accepting` has answered, `rule` is not asked any more.
bool exempts(const Rule& accepting, const Rule& rule) {
  const bool of_recipient = accepting.names_recipient_facts();
  return accepting.index < rule.index &&
         (accepting.stage == rule.stage || (accepting.stage < rule.stage && !of_recipient));
}
// The same where it has answered for another recipient of the message.
bool exempts_others(const Rule& accepting, const Rule& rule) {
  return accepting.index < rule.index && accepting.stage == Stage::rcpt && !accepting.names_recipient_facts() &&
         rule.stage >= Stage::rcpt;
}

class Prover {
 public:
  Prover(const Policy& policy, ProofDoor door) : policy_(policy), door_(door), rehearsal_(policy), moments_(policy) {
    for (const Rule& rule : policy.rules()) {
      if (!asks(door, rule)) continue;
      if (guards(rule)) guards_.push_back(&rule);
      if (lets_through(rule)) accepting_.push_back(&rule);
    }
    strangers_goal();
  }

  RelayProof prove() {
    proof_.guards = guards_.size();
    Solving solving = solve_with(kYes);
    if (solving.solved == Solved::none && !policy_.site().knows_domains()) {
      solving = solve_with(kUnknown);
      if (solving.solved == Solved::undecided && solving.cause == Cause::unproven) solving.cause = Cause::untold;
    }
    const bool hangs = solving.cause == Cause::unproven || solving.cause == Cause::untold;
    if (solving.solved == Solved::undecided && hangs && !policy_.live_sources().empty()) solving.cause = Cause::live;
    proof_.cause = solving.cause;
    if (solving.solved == Solved::none) proof_.kind = RelayProof::Kind::closed;
    if (solving.solved == Solved::undecided) proof_.kind = RelayProof::Kind::undecided;
    return std::move(proof_);
  }

 private:
  const Condition* condition(Fact fact, Matcher matcher) {
    return &own_.emplace_back(Condition{{fact, ""}, std::move(matcher), ""});
  }
  static Matcher text(std::string_view value) {
    TextSet set;
    set.add_exact(value);
    return std::make_shared<const TextSet>(std::move(set));
  }
  static Matcher number(std::int64_t value) { return std::vector<NumberRange>{{value, value}}; }

  // First of mailboxes, then of what is no address.
  Solving solve_with(Truths external) {
    problem_.literals.front().allowed = external;
    for (const Truths without_address : {kNo, kYes}) {
      problem_.literals[address_].allowed = without_address;
      const Solving solving = solve();
      if (solving.solved != Solved::none) return solving;
    }
    return {};
  }

  // Begins with no guard, and takes up those that the strangers meet.
  Solving solve() {
    for (;;) {
      more_.clear();
      const Solving solving = search(problem_, policy_.site(), [this](const Solution& s) { return offer(s); });
      if (more_.empty()) return solving;
      for (const Rule* guard : more_) take_up(*guard);
    }
  }

  // A client with an address that is not trusted, without login. What is no address may be delivered all the same:
  // Postfix knows <""@domain>.
  void strangers_goal() {
    no_helo_ = condition(Fact::helo, text(""));
    Literals& goal = problem_.literals;
    goal.push_back({condition(Fact::external, true)});
    goal.push_back({condition(Fact::authenticated, false)});
    goal.push_back({condition(Fact::mta_refused, false)});
    address_ = goal.size();
    goal.push_back({condition(Fact::recipient, text("")), kNo});
    goal.push_back({condition(Fact::client_ip, policy_.site().trusted_networks), kNo});
    NetworkSet everywhere;
    for (const std::string_view all : {"::/0", "0.0.0.0/0"}) everywhere.add(*IpNetwork::parse(all));
    everywhere.seal();
    goal.push_back({condition(Fact::client_ip, std::make_shared<const NetworkSet>(std::move(everywhere)))});
    goal.push_back({condition(Fact::session_age, number(0)), kYes, point_of(Stage::connect)});
    goal.push_back({condition(Fact::refusals, number(0)), kYes, point_of(Stage::connect)});
    for (const Stage stage : {Stage::rcpt, Stage::data}) {
      goal.push_back({condition(Fact::recipients, number(0)), kNo, point_of(stage)});
    }
  }

  // What is unknown refuses, unless the rule skips it.
  void take_up(const Rule& guard) {
    const bool skips = guard.on_unknown == OnUnknown::skip;
    const Truths unknown = skips ? kUnknown : Truths{0};
    const Point point = point_of(guard.stage);
    Duty duty;
    for (const Condition& c : guard.when) {
      duty.escapes.push_back({.literals = {{&c, static_cast<Truths>(kNo | unknown), point}}});
    }
    for (const Condition& c : guard.unless) {
      duty.escapes.push_back({.literals = {{&c, static_cast<Truths>(kYes | unknown), point}}});
    }
    if (guard.stage == Stage::helo) duty.escapes.push_back({.literals = {{no_helo_}}});
    for (std::size_t i = 0; i < accepting_.size(); ++i) add_acceptance(duty, *accepting_[i], i, guard);
    problem_.duties.push_back(std::move(duty));
    taken_.push_back(&guard);
  }

  void add_acceptance(Duty& duty, const Rule& rule, std::size_t index, const Rule& guard) const {
    if (exempts(rule, guard)) {
      Escape escape{.literals = literals_of(rule, point_of(rule.stage))};
      if (rule.stage == Stage::helo) escape.literals.push_back({no_helo_, kNo});
      duty.escapes.push_back(std::move(escape));
    }
    if (exempts_others(rule, guard)) {
      const auto point = static_cast<Point>(kStages.size() + index);
      duty.escapes.push_back({.literals = literals_of(rule, point), .tag = point});
    }
  }

  Taken offer(const Solution& solution) {
    Timeline timeline = timeline_of(solution, policy_.site());
    note_blocking(timeline, solution);
    if (!more_.empty()) return Taken::enough;
    if (door_ == ProofDoor::second) return Taken::enough;  // what is played goes through the milter
    const bool external = timeline.model.recipient.external == true;
    if (!external || !plays(timeline, solution)) return ++offers_ < kMostOffers ? Taken::no : Taken::enough;
    proof_.kind = RelayProof::Kind::open;
    proof_.transaction = rehearsal_.text(timeline);
    proof_.through = through(timeline, solution);
    return Taken::yes;
  }

  // As it stands, or at another time.
  bool plays(Timeline& timeline, const Solution& solution) {
    if (rehearsal_.relays(timeline)) return true;
    if (offers_ >= kMostMoved) return false;
    return moments_.any_of(timeline, [&](Timeline& moved) {
      const bool stopped = std::ranges::any_of(guards_, [&](const Rule* g) { return blocks(*g, moved, solution); });
      if (stopped || !rehearsal_.relays(moved)) return false;
      timeline = moved;
      return true;
    });
  }

  // Guards that nobody has thought of so far, and that stop this one.
  void note_blocking(const Timeline& timeline, const Solution& solution) {
    for (const Rule* guard : guards_) {
      if (std::ranges::find(taken_, guard) == taken_.end() && blocks(*guard, timeline, solution)) {
        more_.push_back(guard);
      }
    }
  }

  bool asked(const Rule& rule, const Timeline& timeline) const {
    return rule.stage != Stage::helo || !timeline.model.connection.helo.empty();
  }

  bool blocks(const Rule& guard, const Timeline& timeline, const Solution& solution) const {
    if (!asked(guard, timeline)) return false;
    const Truth holds = holds_of(guard, timeline.at_stage(guard.stage).facts());
    if (holds == Truth::no || (holds == Truth::unknown && guard.on_unknown == OnUnknown::skip)) return false;
    const auto exempt = [&](const Rule* rule) { return exempts(*rule, guard) && accepts(*rule, timeline); };
    const auto exempt_before = [&](Point tag) { return exempts_others(*accepting_[tag - kStages.size()], guard); };
    return std::ranges::none_of(accepting_, exempt) && std::ranges::none_of(solution.tags, exempt_before);
  }

  bool accepts(const Rule& rule, const Timeline& timeline) const {
    return asked(rule, timeline) && holds_of(rule, timeline.at_stage(rule.stage).facts()) == Truth::yes;
  }

  std::optional<std::string> through(const Timeline& timeline, const Solution& solution) const {
    for (const Rule* rule : accepting_) {
      if (accepts(*rule, timeline)) return rule->name;
    }
    if (solution.tags.empty()) return std::nullopt;
    return accepting_[solution.tags.front() - kStages.size()]->name;
  }

  const Policy& policy_;
  const ProofDoor door_;
  Rehearsal rehearsal_;
  const Moments moments_;
  std::vector<const Rule*> guards_;
  std::vector<const Rule*> accepting_;
  std::deque<Condition> own_;
  const Condition* no_helo_ = nullptr;
  Problem problem_;
  std::size_t address_ = 0;         // the literal of it that says whether the recipient is an address
  std::vector<const Rule*> taken_;  // guards that the problem knows
  std::vector<const Rule*> more_;
  RelayProof proof_;
  std::size_t offers_ = 0;
};

}  // namespace

RelayProof prove_relay(const Policy& policy) {
  RelayProof proof = Prover(policy, ProofDoor::milter).prove();
  if (proof.kind == RelayProof::Kind::closed || policy.settings().policy_service.empty()) return proof;
  // What the second door refuses never comes to the milter.
  RelayProof second = Prover(policy, ProofDoor::second).prove();
  return second.kind == RelayProof::Kind::closed ? second : proof;
}

}  // namespace replygate
