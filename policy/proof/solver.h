#pragma once

#include <span>
#include <vector>

#include "policy/policy.h"

// Finds a transaction that fulfils conditions, or shows that there is none. Pure; any thread.
namespace replygate {

// A condition, or its contrary.
struct Literal {
  const Condition* condition = nullptr;
  bool holds = true;
};

// That the conditions of a rule hold. They refer to the rule.
std::vector<Literal> literals_of(const Rule& rule);

// One transaction with one recipient, before any counter was used.
struct Model {
  Connection connection;
  Transaction transaction;
  Recipient recipient;
  Instant now;
  const Zone* zone = nullptr;

  Facts facts() const { return {connection, &transaction, &recipient, now, zone}; }
};

// `none` is a proof: facts that depend on each other (an address and its parts, login and user, TLS and its version)
// are chosen together from values that stand for every way in which the conditions can tell values apart. Patterns
// whose values cannot be listed (regular expressions, very long lists) make the answer `undecided` where no value is
// found. Facts that an MTA may withhold are taken as known.
enum class Solved : std::uint8_t { found, none, undecided };

Solved solve(std::span<const Literal> literals, const Site& site, Model& model);

}  // namespace replygate
