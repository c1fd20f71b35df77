#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/reused.h"
#include "policy/count/store.h"
#include "policy/decide/once.h"
#include "policy/rules/facts.h"
#include "policy/rules/policy.h"

namespace replygate {

// What is asked of the policy: one stage of one session.
struct Question {
  Stage stage = Stage::connect;
  // Rules from this index on are not asked: an earlier rule has accepted.
  std::size_t until_rule = std::numeric_limits<std::size_t>::max();
  bool counters = true;        // false: rules with limits are left to another door
  bool limits = true;          // false: limits and greylisting do not apply, since the mail is for postmaster alone
  bool counting_only = false;  // nothing can be refused: limits count what comes, full or not
  bool mta_refused = false;    // only rules that name that fact are asked
  FactSet beyond = 0;          // facts that the door cannot know; rules that name one are left to another door
  // What this session and this message are counted for already; null: nothing.
  const Once* session = nullptr;
  const Once* message = nullptr;
};

// One counter that a rule compares with, for one key.
struct Ask {
  enum class Purpose : std::uint8_t {
    limit,
    sighting,    // of greylisting
    client,      // how many keys of the client have passed greylisting
    escalation,  // refusals that the rule has given before
    whole,       // the recipients of which the limit before it is a share
  };

  const Rule* rule = nullptr;
  Mode mode = Mode::enforce;  // of the rule for this key
  Purpose purpose = Purpose::limit;
  Limit limit;
  std::string key;         // for people: "alice@example.org", several facts joined by '|', see key_part.h
  std::string counter;     // identity of the counter
  std::size_t key_at = 0;  // of a limit's counter: where the key begins; 0: it is not named
  std::string was;         // its identity before the rule was renamed, "" where it was not
  std::string member;      // of distinct_recipients
  Instant until;           // of a calendar period
  std::int64_t cost = 1;
  bool uncharged = false;  // is compared alone: this message or session is counted already, or is not to be counted
  std::int64_t own = 0;    // what of the use is its own

  // What is compared, and not charged: such things, and what is counted when it happens.
  bool reads_alone() const { return uncharged || (purpose == Purpose::limit && counts_events(limit.unit)); }
};

// The name under which a message or a session is counted once; "" where each decision counts by itself.
std::string_view once_name(const Ask& ask);

// A rule that holds, or may hold, and what it asks: asks[first, first + count), behind them those of escalation.
struct Candidate {
  const Rule* rule = nullptr;
  Mode mode = Mode::enforce;
  Truth holds = Truth::yes;  // yes or unknown
  std::size_t first = 0;
  std::size_t count = 0;
  std::size_t escalations = 0;
};

// The key of a rule: for people, and its identity.
struct Key {
  std::string shown;
  std::string identity;
};

// The rules that could answer, in the order of the file, and the counters that they touch. The walk ends behind the
// first rule that answers for certain.
struct Inquiry {
  Reused<Candidate> candidates;
  Reused<Ask> asks;
  Key key;     // of the rule that was looked at last
  Limits own;  // of that key, where a live source says them
};

// In place of what `inquiry` was, whose memory it uses. Pure: reads facts and policy, nothing else. Pointers in the
// result are into `policy`.
void inquire(const Policy& policy, const Facts& facts, const Question& question, Inquiry& inquiry);

// Postmaster of our own domains, which is never refused by a limit (RFC 5321 §4.5.1).
bool is_postmaster(const Address& address, const Site& site);

// Whether the conditions of a rule hold.
Truth holds_of(const Rule& rule, const Facts& facts);

// Nothing where a fact of it is empty or unknown.
std::optional<Key> key_of(const Rule& rule, const Facts& facts, const Site& site);
// The same in place of what `key` was. `untold`: a live source has not said what a part of it counts as.
enum class KeyState : std::uint8_t { none, untold, made };
KeyState find_key(const Rule& rule, const Facts& facts, const Site& site, Key& key);

// The same of a key as people write it, see parts_of_key(). Nothing where the rule has another number of parts,
// or no key can be like it.
std::optional<Key> key_from_text(const Rule& rule, std::string_view text, const Site& site);

// The limits that apply to a key: its override, else those of the rule; empty: it is exempt. `own` has them where a
// live source says them. Null: it has not said them.
const Limits* limits_of(const Rule& rule, const Key& key, Answers* answers, Limits& own);

// How a limit counts for one key: one ask, at the present time.
Ask ask_for(const Rule& rule, const Limit& limit, const Key& key, const Facts& facts);
void fill_ask(Ask& ask, const Rule& rule, const Limit& limit, const Key& key, const Facts& facts);
// The recipients of which a limit is a share.
void fill_whole(Ask& ask, const Rule& rule, const Limit& share, const Key& key, const Facts& facts);
// Every counter that the rule keeps for the key: of limits, as they are raised at `now`, and of escalation. What a live
// source has not said is taken to be as the rule says.
std::vector<Ask> asks_of_key(const Policy& policy, const Rule& rule, const Key& key, Instant now,
                             Answers* answers = nullptr);
// One more counter of a rule: how many of its refusals escalate a reply.
Ask escalation_ask(const Rule& rule, const Escalation& step, const Key& key, const Facts& facts);
// How a counter is charged. `group` as in Charge.
Charge charge_of(const Ask& ask, std::uint32_t group, bool even_if_full, bool reserve);
void fill_charge(Charge& charge, const Ask& ask, std::uint32_t group, bool even_if_full, bool reserve);

}  // namespace replygate
