#pragma once

#include <optional>

#include "policy/rules/facts.h"

namespace replygate {

// What a pattern is compared with: a kind of value, and of texts the fact, since each has its own alphabet.
struct Subject {
  FactKind kind = FactKind::text;
  std::optional<Fact> fact = {};

  auto operator<=>(const Subject&) const = default;
};

constexpr Subject subject_of(FactKind kind) { return {kind, {}}; }
inline Subject subject_of(Fact fact) {
  const FactKind kind = info(fact).kind;
  return {kind, kind == FactKind::text ? std::optional(fact) : std::nullopt};
}

// Texts in which anything may stand: no spelling of theirs is impossible.
constexpr bool is_free_text(const Subject& s) {
  return s.fact == Fact::header || s.fact == Fact::tls_subject || s.fact == Fact::tls_issuer;
}
// Texts that are names of hosts.
constexpr bool is_host(const Subject& s) { return s.fact == Fact::client_name || s.fact == Fact::helo; }

}  // namespace replygate
