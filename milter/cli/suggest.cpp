#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/commands.h"
#include "milter/cli/past.h"
#include "milter/cli/progress.h"
#include "milter/import/writer.h"
#include "milter/local_time.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"
#include "policy/scenario/census.h"
#include "policy/scenario/proposal.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 2> kPeriods = {"1h", "1d"};  // as Census::kWindows

// Of one kind of key, for each window.
struct Suggestion {
  KeyKind kind = KeyKind::user;
  std::array<std::optional<Proposal>, 2> windows;
};

std::string day_and_time(Instant time) { return fmt::format("{:%Y-%m-%d %H:%M}", local_parts(time)); }

std::string_view plural_of(KeyKind kind) {
  constexpr std::array<std::string_view, 3> names = {"logins", "senders without login",
                                                     "networks of clients without login"};
  return names[static_cast<std::size_t>(kind)];
}

void print_distribution(const Suggestion& s) {
  for (std::size_t w = 0; w < kPeriods.size(); ++w) {
    const Proposal& p = *s.windows[w];
    fmt::print("# Recipients / {} of {} {}: half of them up to {}, 95 % up to {}, 99 % up to {}, the most {}.\n",
               kPeriods[w], p.keys, plural_of(s.kind), p.half, p.most_95, p.most_99, p.most);
    if (p.left_out > 0) fmt::print("# There were more keys than are kept; {} messages were left out.\n", p.left_out);
  }
  if (s.windows[1]->brief) {
    fmt::print("# It is the mail of a day or two: what is ordinary will show with some weeks of it.\n");
  }
  if (const std::size_t capped = s.windows[0]->capped; capped > 0) {
    fmt::print("# {} of them were refused by a limit: what they got is the limit, not what they wanted.\n", capped);
  }
}

// Whoever has a limit of his own in some window, in the order of names.
std::set<std::string> named_keys(const Suggestion& s) {
  std::set<std::string> keys;
  for (const auto& proposal : s.windows) {
    for (const Proposal::Named& named : proposal->overrides) keys.insert(named.key);
  }
  return keys;
}

// An override replaces the limits of every window.
std::int64_t limit_for(const Proposal& proposal, const std::string& key) {
  const auto found = std::ranges::find(proposal.overrides, key, &Proposal::Named::key);
  return found == proposal.overrides.end() ? proposal.limit : found->limit;
}

// Of a day at least as much as of its hour.
std::array<std::int64_t, 2> limits_of_key(const Suggestion& s, const std::string& key) {
  const std::int64_t hour = limit_for(*s.windows[0], key);
  return {hour, std::max(hour, limit_for(*s.windows[1], key))};
}

void print_overrides(const Suggestion& s) {
  const auto keys = named_keys(s);
  if (!keys.empty()) fmt::print("[rule.override]  # who sends far more than others, again and again\n");
  for (const std::string& key : keys) {
    if (!is_utf8(key)) {
      fmt::print("# No policy can name {}.\n", without_controls(key));
      continue;
    }
    const auto limits = limits_of_key(s, key);
    fmt::print("{} = [\"{} recipients / 1h\", \"{} recipients / 1d\"]\n", import::toml_string(key), limits[0],
               limits[1]);
  }
}

void print_bursts(const Suggestion& s) {
  for (std::size_t w = 0; w < kPeriods.size(); ++w) {
    for (const Proposal::Named& burst : s.windows[w]->bursts) {
      fmt::print("# Would have been refused: {} sent to {} recipients / {} on {}, {}.\n", without_controls(burst.key),
                 burst.most, kPeriods[w], day_and_time(burst.when),
                 burst.usual == 0 ? "and on no other day as many" : fmt::format("else up to {}", burst.usual));
    }
  }
}

void print_rule(const Suggestion& s) {
  fmt::print("\n");
  print_distribution(s);
  print_bursts(s);
  fmt::print(
      "[[rule]]\nname   = \"suggested-{}\"\nmode   = \"observe\"  # remove this line once `replygate rules` shows what "
      "you want\n",
      to_string(s.kind));
  fmt::print("{}per    = \"{}\"\nlimit  = [\"{} recipients / 1h\", \"{} recipients / 1d\"]\nreply  = \"{}\"\n",
             s.kind == KeyKind::user ? "when   = { authenticated = true }\n" : "unless = { authenticated = true }\n",
             to_string(s.kind), s.windows[0]->limit, std::max(s.windows[0]->limit, s.windows[1]->limit),
             s.kind == KeyKind::user ? "quota-exceeded" : "rate-limited");
  print_overrides(s);
}

void print_suggestions(const std::vector<Suggestion>& all, const Census& census, const SuggestOptions& o) {
  fmt::print(
      "# Proposed by `replygate suggest` from {} recipients, {} to {}; {:g} times what ordinary keys sent at the "
      "most.\n",
      census.recipients(), day_and_time(census.first()), day_and_time(census.last()), o.head_room);
  fmt::print("# See what it would have done: replygate replay FILE\nversion = 1\n[site]\nrelay = \"mta\"\n");
  for (const Suggestion& s : all) {
    if (s.windows[0] && s.windows[1]) {
      print_rule(s);
    } else {
      fmt::print("\n# Of {} there are fewer than {}: too few to tell.\n", plural_of(s.kind), kFewestKeys);
    }
  }
}

json::array json_of(const std::vector<Proposal::Named>& list) {
  json::array array;
  for (const Proposal::Named& n : list) {
    json::object object{{"key", n.key},
                        {"most", n.most},
                        {"usual", n.usual},
                        {"when", detail::format_time(n.when)},
                        {"capped", n.capped}};
    if (n.limit > 0) object["limit"] = n.limit;
    array.push_back(std::move(object));
  }
  return array;
}

json::value json_of(const std::vector<Suggestion>& all, const Census& census) {
  json::array proposals;
  for (const Suggestion& s : all) {
    for (std::size_t w = 0; w < kPeriods.size(); ++w) {
      if (!s.windows[w]) continue;
      const Proposal& p = *s.windows[w];
      proposals.push_back(json::object{{"per", to_string(s.kind)},
                                       {"unit", "recipients"},
                                       {"window", kPeriods[w]},
                                       {"limit", p.limit},
                                       {"keys", p.keys},
                                       {"half", p.half},
                                       {"most_95", p.most_95},
                                       {"most_99", p.most_99},
                                       {"most", p.most},
                                       {"brief", p.brief},
                                       {"capped", p.capped},
                                       {"left_out", p.left_out},
                                       {"overrides", json_of(p.overrides)},
                                       {"bursts", json_of(p.bursts)}});
    }
  }
  return json::object{{"recipients", census.recipients()},
                      {"first", detail::format_time(census.first())},
                      {"last", detail::format_time(census.last())},
                      {"proposals", std::move(proposals)}};
}

std::vector<Suggestion> suggestions_of(const Census& census, double head_room) {
  std::vector<Suggestion> all;
  for (const KeyKind kind : kKeyKinds) {
    Suggestion& s = all.emplace_back(Suggestion{.kind = kind, .windows = {}});
    for (std::size_t w = 0; w < kPeriods.size(); ++w) s.windows[w] = propose(census.meter(kind, w), head_room);
  }
  return all;
}

}  // namespace

int suggest_command(const SuggestOptions& options) {
  const auto since = since_of("suggest", options.since);
  if (!since) return kUsage;
  Census census;
  Progress progress(options.files.empty() ? "records" : "lines");
  const auto figures = read_past(source_of(options, nullptr),
                                 {.transaction =
                                      [&](const PastTransaction& past) {
                                        if (past.time >= *since) census.take(past);
                                      }},
                                 [&](const LogProgress& so_far) { progress.tell(so_far); });
  progress.clear();
  if (!figures) {
    fmt::print(stderr, "replygate suggest: {}\n", figures.error());
    return kNoInput;
  }
  print_troubles(*figures);
  if (census.recipients() == 0) {
    fmt::print(stderr, "replygate suggest: there is no mail in it that a client has handed in\n");
    return kNoInput;
  }
  const auto all = suggestions_of(census, options.head_room);
  if (options.json) {
    fmt::print("{}", line_of(json_of(all, census)));
  } else {
    print_suggestions(all, census, options);
  }
  return kFine;
}

}  // namespace replygate
