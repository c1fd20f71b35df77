#include "policy/proof/relay.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/count/charges.h"
#include "policy/count/store_memory.h"
#include "policy/proof/solver.h"
#include "policy/session.h"

namespace replygate {
namespace {

using Literals = std::vector<Literal>;

constexpr std::size_t kMostSteps = 3000;

bool guards(const Rule& rule) {
  return rule.is_certain() && (rule.refuses() || std::holds_alternative<Discard>(rule.outcome));
}
bool lets_through(const Rule& rule) {
  return rule.is_certain() &&
         (std::holds_alternative<Accept>(rule.outcome) || std::holds_alternative<Hold>(rule.outcome));
}
// Once `accepting` has answered, `rule` is not asked any more.
bool exempts(const Rule& accepting, const Rule& rule) {
  const bool of_recipient = accepting.names_recipient_facts();
  return accepting.index < rule.index &&
         (accepting.stage == rule.stage || (accepting.stage < rule.stage && !of_recipient));
}

class Prover {
 public:
  explicit Prover(const Policy& policy) : policy_(policy) {
    for (const Rule& rule : policy.rules()) {
      if (guards(rule)) guards_.push_back(&rule);
      if (lets_through(rule)) accepting_.push_back(&rule);
    }
  }

  RelayProof prove() {
    RelayProof proof{.guards = guards_.size()};
    const Solved solved = search(strangers_goal());
    proof.kind = solved == Solved::none        ? RelayProof::Kind::closed
                 : solved == Solved::undecided ? RelayProof::Kind::undecided
                                               : RelayProof::Kind::open;
    if (solved != Solved::found) return proof;
    for (const Rule* rule : accepting_) {
      if (!proof.through && holds_of(*rule, model_.facts()) == Truth::yes) proof.through = rule->name;
    }
    proof.transaction = describe();
    if (!passes()) proof.kind = RelayProof::Kind::undecided;
    return proof;
  }

 private:
  Condition& condition(Fact fact, Matcher matcher) {
    own_.push_back(std::make_unique<Condition>(Condition{{fact, ""}, std::move(matcher), ""}));
    return *own_.back();
  }

  Literals strangers_goal() {
    const Site& site = policy_.site();
    Literals goal = {{&condition(Fact::authenticated, false)},
                     {&condition(Fact::mta_refused, false)},
                     {&condition(Fact::external, true)},
                     {&condition(Fact::client_ip, site.trusted_networks), false}};
    if (site.knows_domains()) {
      goal.push_back({&condition(Fact::recipient_domain, site.local_domains), false});
      goal.push_back({&condition(Fact::recipient_domain, site.relay_domains), false});
    }
    return goal;
  }

  // A transaction that fulfils the literals and meets no guard.
  Solved search(const Literals& literals) {
    if (++steps_ > kMostSteps) return Solved::undecided;
    const Solved solved = solve(literals, policy_.site(), model_);
    if (solved != Solved::found) return solved;
    const Rule* guard = met();
    return guard == nullptr ? Solved::found : escape(*guard, literals);
  }

  const Rule* met() const {
    const Facts facts = model_.facts();
    for (const Rule* guard : guards_) {
      const Truth holds = holds_of(*guard, facts);
      const bool refuses = holds == Truth::yes || (holds == Truth::unknown && guard->on_unknown == OnUnknown::tempfail);
      const auto exempt = [&](const Rule* rule) {
        return exempts(*rule, *guard) && holds_of(*rule, facts) == Truth::yes;
      };
      if (refuses && std::ranges::none_of(accepting_, exempt)) return guard;
    }
    return nullptr;
  }

  // Tries each way around a guard: a condition of it that fails, or an earlier rule that accepts.
  Solved escape(const Rule& guard, const Literals& literals) {
    bool undecided = false;
    const auto try_with = [&](const Literals& more) {
      Literals all = literals;
      all.insert(all.end(), more.begin(), more.end());
      const Solved solved = search(all);
      undecided |= solved == Solved::undecided;
      return solved == Solved::found;
    };
    for (const Condition& c : guard.when) {
      if (try_with({{&c, false}})) return Solved::found;
    }
    for (const Condition& c : guard.unless) {
      if (try_with({{&c, true}})) return Solved::found;
    }
    for (const Rule* rule : accepting_) {
      if (!exempts(*rule, guard)) continue;
      if (try_with(literals_of(*rule))) return Solved::found;
    }
    return undecided ? Solved::undecided : Solved::none;
  }

  std::string describe() const {
    const Model& m = model_;
    std::string text = fmt::format("client {}", m.connection.ip_text);
    if (m.connection.name != "unknown") text += fmt::format(" ({})", m.connection.name);
    text += fmt::format(", EHLO {}, MAIL FROM:<{}>, RCPT TO:<{}>", m.connection.helo, m.transaction.sender.full,
                        m.recipient.address.full);
    if (!m.connection.tls.version.empty()) text += ", over TLS";
    for (const Header& header : m.transaction.headers) text += fmt::format(", {}: {}", header.name, header.value);
    return text;
  }

  // Plays the counterexample through the path that the daemon takes, as far as facts can be given from outside.
  bool passes() {
    MemoryStore store;
    Gate gate(store);
    References references(1);
    NoRecords sink;
    Session session(std::shared_ptr<const Policy>(std::shared_ptr<const Policy>(), &policy_), {gate, sink, references},
                    {});
    constexpr std::int64_t kMostRepeats = 1000;
    bool refused = false;
    const auto note = [&](const Answer& answer) { refused |= answer.refusal.has_value(); };
    const auto last = [&](const Answer& answer) { refused = answer.refusal.has_value(); };
    const Model m = model_;
    if (m.connection.messages > kMostRepeats || m.transaction.recipients > kMostRepeats) return false;
    session.connect({.ip = m.connection.ip,
                     .name = m.connection.name,
                     .port = m.connection.port,
                     .listener = m.connection.listener},
                    m.connection.since, note);
    session.helo(m.connection.helo, m.now, note);
    std::vector<std::string> parameters;
    if (m.transaction.declared_size > 0) parameters.push_back(fmt::format("SIZE={}", m.transaction.declared_size));
    if (m.transaction.smtputf8) parameters.emplace_back("SMTPUTF8");
    if (refused) return false;
    for (std::int64_t i = 0; i < m.connection.messages; ++i) {
      session.mail({.sender = m.transaction.sender_raw, .parameters = parameters, .tls = m.connection.tls}, m.now,
                   last);
    }
    for (std::int64_t i = 0; i < m.transaction.recipients && !refused; ++i) {
      session.rcpt({.recipient = m.recipient.raw, .route = m.recipient.route}, m.now, last);
    }
    if (!refused) session.data(m.now, note);
    for (const Header& header : m.transaction.headers) session.header(header.name, header.value, 20);
    if (!refused) session.end_of_headers(m.now, note);
    if (!refused) session.end_of_message(m.now, note);
    return !refused;
  }

  const Policy& policy_;
  std::vector<const Rule*> guards_;
  std::vector<const Rule*> accepting_;
  std::vector<std::unique_ptr<Condition>> own_;
  Model model_;
  std::size_t steps_ = 0;
};

}  // namespace

RelayProof prove_relay(const Policy& policy) { return Prover(policy).prove(); }

}  // namespace replygate
