#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/count/limit.h"
#include "policy/count/sighting.h"
#include "policy/rules/answer.h"
#include "policy/rules/facts.h"
#include "policy/rules/match.h"
#include "policy/rules/own_limits.h"
#include "policy/rules/place.h"

namespace replygate {

// Clients that greylisting takes for one: the hosts of one sender, whichever of them tries.
struct Pool {
  std::string name;
  std::shared_ptr<const TextSet> names;        // of client_name
  std::shared_ptr<const NetworkSet> networks;  // of client_ip
};

enum class Mode : std::uint8_t { enforce, observe };
enum class OnUnknown : std::uint8_t { skip, tempfail };
enum class OnStoreError : std::uint8_t { tempfail, accept, local };
enum class Count : std::uint8_t { accepted, admitted, attempts };
// Which outcomes count: of what a sender has addressed, or also of null senders' mail and of what aliases and forwards
// have made.
enum class OutcomesOf : std::uint8_t { sent, all };

std::string_view to_string(Mode mode);
std::string_view to_string(OnUnknown on_unknown);
std::string_view to_string(OnStoreError on_store_error);
std::string_view to_string(Count count);
std::string_view to_string(OutcomesOf outcomes_of);

// Keys with limits of their own: the exact key before a pattern, patterns in the order of the file.
struct Overrides {
  boost::unordered_flat_map<std::string, Limits, TextHash, std::equal_to<>> exact;
  std::vector<std::pair<std::shared_ptr<const TextSet>, Limits>> patterns;

  std::vector<std::pair<std::shared_ptr<const NetworkSet>, Limits>> networks;  // of client_ip

  LiveLimits live;  // is asked for keys that none of these have

  const Limits* find(std::string_view key) const;  // null: none applies
};

// Judged at one stage. A rule whose limits are counted at several stages is several of these, with one name.
struct Rule {
  static constexpr std::int64_t kWhole = 10000;  // 100 %

  std::size_t index = 0;  // in the policy
  std::string name;
  std::string was;  // a name that it had before; "": none
  Place place;
  Stage stage = Stage::connect;  // at which it is judged
  std::vector<Condition> when;
  std::vector<Condition> unless;
  std::vector<FactRef> per;
  bool limited = false;  // by limits or by greylisting; else the rule answers whenever it holds
  Limits limits;         // of keys without an override; may be empty for a unit that overrides alone have
  Overrides overrides;
  Count count = Count::accepted;
  OutcomesOf outcomes_of = OutcomesOf::sent;
  std::int64_t warn_at = 0;  // percent of a limit; 0: never
  std::optional<Greylisting> greylist;
  std::vector<Pool> pools;
  std::vector<Escalation> escalate;  // ascending
  std::vector<AddedHeader> headers;  // of what is let through
  std::int64_t share = kWhole;       // of keys for which it is enforced; observed for others
  OnUnknown on_unknown = OnUnknown::tempfail;
  OnStoreError on_store_error = OnStoreError::tempfail;  // where its counters cannot be read
  Mode mode = Mode::enforce;
  Outcome outcome;

  FactSet facts = 0;  // that a condition, the key or the text names; set by Policy

  bool has_limits() const { return limited; }
  // Answers whenever it holds: for every key, and without anything to count.
  bool is_certain() const { return mode == Mode::enforce && share == kWhole && !has_limits(); }
  bool refuses() const { return std::holds_alternative<ReplySpec>(outcome); }
  // Some limit, its own or of an override, counts in this unit.
  bool counts(Unit unit) const;
  bool needs(Fact fact) const { return (facts & bit(fact)) != 0; }
  // Of conditions, key and texts, in no order, some perhaps twice.
  std::vector<FactRef> named_facts() const;
  // Without the same one twice.
  std::vector<LiveSourcePtr> live_sources() const;
  bool names_recipient_facts() const;  // facts of one recipient; the count `recipients` is none
};

}  // namespace replygate
