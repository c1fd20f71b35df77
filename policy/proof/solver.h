#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <vector>

#include "policy/proof/variable.h"

// Finds values of facts that fulfil conditions, or shows that there are none. Pure; any thread.
namespace replygate {

// What a condition may come to.
using Truths = std::uint8_t;
constexpr Truths truths(Truth truth) { return static_cast<Truths>(1U << static_cast<unsigned>(truth)); }
inline constexpr Truths kYes = truths(Truth::yes);
inline constexpr Truths kNo = truths(Truth::no);
inline constexpr Truths kUnknown = truths(Truth::unknown);

struct Literal {
  const Condition* condition = nullptr;
  Truths allowed = kYes;
  Point point = 0;
};
using Literals = std::vector<Literal>;

// That the conditions of a rule hold at a point. They refer to the rule.
Literals literals_of(const Rule& rule, Point point = 0);

// One way to do a duty.
struct Escape {
  Literals literals;
  std::optional<Point> tag;  // told to who is offered the solution
};
struct Duty {
  std::vector<Escape> escapes;
};

struct Problem {
  Literals literals;         // all of them
  std::vector<Duty> duties;  // of each duty some escape
};

// What the search chose.
struct Choice {
  const Variable* variable = nullptr;
  std::vector<std::size_t> picks;  // one; several of header fields
};
struct Solution {
  std::vector<Choice> choices;
  std::vector<Point> tags;
};

// `none` is a proof. The facts are taken apart into slots, each slot into values that stand for all values, as far as
// lists, networks, numbers and flags of the conditions can tell them apart, with values made anew that are in no list;
// and every combination is looked at. What a live source says may be anything, for each condition by itself. TLS facts
// without TLS, and login facts without login, are empty. Facts that an MTA may withhold (recipient_route, mailbox_used,
// and `external` where the site knows no domains) may be unknown.
//
// `undecided` has a cause. `patterns`: nothing was found, and a glob or a regular expression, of whose values there are
// samples alone, or a very long list had a part in it. `combinations`: there are too many. `unproven`: solutions were
// found, and whoever was offered them took none. `untold`: it hangs on what the MTA does not tell.
enum class Solved : std::uint8_t { found, none, undecided };
// `live`: it hangs on what live sources say.
enum class Cause : std::uint8_t { none, patterns, combinations, unproven, untold, live };

struct Solving {
  Solved solved = Solved::none;
  Cause cause = Cause::none;
};

// What becomes of a solution: it is taken; others are wanted; or the search may end.
enum class Taken : std::uint8_t { yes, no, enough };
using Offer = std::function<Taken(const Solution&)>;

Solving search(const Problem& problem, const Site& site, const Offer& offer);

// The same for one point: a model that fulfils all literals.
Solved solve(const Literals& literals, const Site& site, Model& model);

}  // namespace replygate
