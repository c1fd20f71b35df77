#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdio>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/commands.h"
#include "milter/cli/load_failure.h"
#include "milter/cli/table.h"
#include "milter/files.h"
#include "milter/lookup/live_sources.h"
#include "milter/lookup/mailboxes.h"
#include "policy/load/given_outcomes.h"
#include "policy/load/list_source.h"
#include "policy/load/numbers.h"
#include "policy/load/state.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"
#include "policy/scenario/player.h"
#include "policy/scenario/smtp_script.h"
#include "policy/scenario/trace.h"

namespace replygate {
namespace {

// A mistake in the call, for people.
struct Misuse {
  std::string what;
};

std::string read_or_complain(const std::string& path) {
  std::string why;
  auto text = read_file(path, why);
  if (!text) throw Misuse{fmt::format("{}: {}", path, why)};
  return *std::move(text);
}

template <typename T>
T required(std::optional<T> value, std::string_view option, std::string_view text, std::string_view example) {
  if (!value) throw Misuse{fmt::format("--{} \"{}\" is not understood; write for instance {}", option, text, example)};
  return *std::move(value);
}

void set_if_given(const std::string& text, std::string& target) {
  if (!text.empty()) target = text;
}

// "NAME KEY VALUE": what a source knows; "NAME" alone does not answer.
void add_lookup(const std::string& text, Given& given) {
  const auto [name, rest] = split_item(text);
  const auto [key, value] = split_item(rest);
  auto& told = given.lookups[std::string(name)];
  if (key.empty()) return;
  if (!told) told.emplace();
  told->insert_or_assign(folded(key), value.empty() ? "listed" : std::string(value));
}

Given given_of(const TryOptions& o) {
  Given g;
  if (!o.client.empty()) g.client = required(IpAddress::parse(o.client), "client", o.client, "192.0.2.10");
  set_if_given(o.client_name, g.client_name);
  set_if_given(o.listener, g.listener);
  set_if_given(o.helo, g.helo);
  set_if_given(o.user, g.user);
  set_if_given(o.mechanism, g.mechanism);
  set_if_given(o.from, g.from);
  set_if_given(o.tls, g.tls.version);
  if (!o.size.empty()) {
    const auto size = parse_size(o.size);
    g.size = required(size ? size : parse_count(o.size), "size", o.size, "'5 MB'");
    if (g.size > std::int64_t{1} << 30) throw Misuse{"--size is at most 1 GiB"};
  }
  if (!o.mailbox_used.empty()) {
    g.mailbox_used = required(parse_share(o.mailbox_used), "mailbox-used", o.mailbox_used, "95%") / 100;
  }
  if (!o.route.empty()) g.route = o.route;
  for (const std::string& header : o.headers) {
    const std::size_t colon = header.find(':');
    if (colon == std::string::npos) throw Misuse{"--header needs a name, a colon and a value"};
    g.headers.emplace_back(header.substr(0, colon), trim(std::string_view(header).substr(colon + 1)));
  }
  for (const std::string& text : o.lookups) add_lookup(text, g);
  if (!o.body.empty()) g.body = read_or_complain(o.body);
  return g;
}

std::vector<std::string> recipients_of(const TryOptions& o) {
  std::vector<std::string> all;
  for (const std::string& text : o.to) {
    auto some = required(expand_ranges(text), "to", text, "'r{1..101}@example.org'");
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

Instant time_of(const TryOptions& o) {
  if (o.at.empty()) return std::chrono::floor<Duration>(std::chrono::system_clock::now());
  return required(parse_time(o.at), "at", o.at, "2026-11-22T09:00:00Z");
}

std::string answer_text(const Delivered& d) {
  if (d.closed) return fmt::format("the connection is closed  (rule {})", d.rule);
  std::string text = d.reply ? d.reply->one_line() : "accepted";
  if (!d.rule.empty()) {
    text += d.reply ? fmt::format("  ({}, {} bounce, rule {})", d.classification, to_string(bounce_of(d.reply->code())),
                                  d.rule)
                    : fmt::format("  (rule {})", d.rule);
  }
  return text;
}

// What makes two answers one line; the reference differs in each.
std::string kind_of(const Delivered& d) {
  return fmt::format("{}/{}/{}/{}", d.reply ? d.reply->code() : 250, d.closed, d.rule, d.classification);
}

std::string disposition_text(const Disposition& d) {
  std::string text;
  if (d.discard) text += "the message is discarded\n";
  if (!d.hold.empty()) text += fmt::format("the message is held: {}\n", d.hold);
  for (const Header& h : d.headers) text += fmt::format("added: {}: {}\n", h.name, h.value);
  return text;
}

void print_fitted(const std::string& lines) { fmt::print("{}", fitted(lines, terminal_width())); }

// Runs of recipients with one answer are one line.
void print_answers(const std::vector<Delivered>& all) {
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i + 1;
    while (end < all.size() && kind_of(all[end]) == kind_of(all[i])) ++end;
    const std::string who = all[i].recipient.empty() ? "the message" : all[i].recipient;
    if (end - i == 1) {
      print_fitted(fmt::format("{}: {}\n", who, answer_text(all[i])));
    } else {
      print_fitted(fmt::format("{} to {} ({}): {}\n", who, all[end - 1].recipient, end - i, answer_text(all[i])));
    }
    i = end;
  }
}

// Of many recipients those whose answer is the first of its kind in a row.
void print_traces(const std::vector<Trace>& traces) {
  fmt::print("\nwhy:\n");
  std::string before;
  std::size_t skipped = 0;
  for (const Trace& trace : traces) {
    std::string kind = fmt::format("{}", to_string(trace.stage));
    for (const Trace::Step& step : trace.steps) {
      kind += fmt::format("/{}{}", step.rule, static_cast<int>(step.holds) + (step.answers ? 10 : 0));
    }
    if (trace.stage == Stage::rcpt && kind == before) {
      ++skipped;
      continue;
    }
    if (skipped > 0) fmt::print("  ({} more recipients likewise)\n", std::exchange(skipped, 0));
    print_fitted(text_of(trace));
    before = std::move(kind);
  }
  if (skipped > 0) fmt::print("  ({} more recipients likewise)\n", skipped);
}

boost::json::object json_of(const Trace& trace) {
  boost::json::array steps;
  for (const Trace::Step& s : trace.steps) {
    boost::json::array compared;
    for (const auto& c : s.compared) {
      compared.push_back(
          boost::json::object{{"condition", c.condition}, {"value", c.value}, {"truth", to_string(c.truth)}});
    }
    boost::json::array counters;
    for (const auto& c : s.counters) counters.push_back(boost::json::object{{"counter", c.text}, {"fits", c.fits}});
    steps.push_back(boost::json::object{{"rule", s.rule},
                                        {"place", s.place},
                                        {"holds", to_string(s.holds)},
                                        {"answers", s.answers},
                                        {"observed", s.observed},
                                        {"note", s.note},
                                        {"compared", std::move(compared)},
                                        {"counters", std::move(counters)}});
  }
  return {{"stage", to_string(trace.stage)},
          {"recipient", trace.recipient},
          {"answer", trace.answer},
          {"rules", std::move(steps)}};
}

boost::json::object json_of(const Delivered& d) {
  boost::json::object object{{"recipient", d.recipient},
                             {"code", d.reply ? d.reply->code() : 250},
                             {"rule", d.rule},
                             {"classification", d.classification},
                             {"bounce", to_string(bounce_of(d.reply ? d.reply->code() : 250))}};
  if (d.reply) {
    object["enhanced"] = d.reply->enhanced().text();
    object["text"] = d.reply->text();
    object["closed"] = d.closed;
  }
  return object;
}

boost::json::array json_of_traces(const std::vector<Trace>& traces) {
  boost::json::array all;
  for (const Trace& trace : traces) all.push_back(json_of(trace));
  return all;
}

// What becomes of a message is seen in the answer to the next one.
std::int64_t times_of(const TryOptions& o) {
  if (o.outcome.empty()) return std::max<std::int64_t>(o.repeat, 1);
  if (o.repeat > 1) return o.repeat;
  if (o.repeat == 1) throw Misuse{"--outcome tells on the next transaction; write --repeat 2, or leave --repeat away"};
  return 2;
}

int try_transactions(const TryOptions& o, Player& player, Tracer& tracer, Instant now) {
  const Given given = given_of(o);
  const auto recipients = recipients_of(o);
  const GivenOutcomes told = parse_outcomes(o.outcome, "--outcome", recipients.size());
  print_diagnostics(told.diagnostics, told.sources);
  if (!told.diagnostics.empty()) return kUsage;
  const std::int64_t times = times_of(o);
  Duration every{};
  if (o.every != "0s") every = required(parse_duration(o.every), "every", o.every, "10s");
  std::vector<Delivered> all;
  Played last;
  for (std::int64_t i = 0; i < times; ++i) {
    if (i + 1 == times) tracer.clear();  // the last one is explained
    last = player.play(given, recipients, now);
    all.insert(all.end(), last.recipients.begin(), last.recipients.end());
    player.tell(told.outcomes, now);
    now += every;
  }
  const bool refused = std::ranges::any_of(all, [](const Delivered& d) { return d.reply.has_value(); });
  if (o.json) {
    boost::json::array answers;
    for (const Delivered& d : all) answers.push_back(json_of(d));
    boost::json::object object{{"answers", std::move(answers)},
                               {"discarded", last.disposition.discard},
                               {"held", last.disposition.hold},
                               {"trace", json_of_traces(tracer.traces())}};
    fmt::print("{}", line_of(object));
  } else {
    print_answers(all);
    fmt::print("{}", disposition_text(last.disposition));
    print_traces(tracer.traces());
  }
  return refused ? kFound : kFine;
}

// A service is not asked: it would count the question as mail to come.
std::unique_ptr<Mailboxes> mailboxes_of(const Policy& policy) {
  const MailboxSource& source = policy.settings().mailbox;
  if (!policy.needs().mailbox || !source.source) return nullptr;
  static Troubles troubles;
  auto opened = open_mailboxes(source, troubles);
  if (!opened) throw Misuse{opened.error()};
  return waiting(*std::move(opened));
}

// `lookups` may be null.
int try_session(const TryOptions& o, const std::shared_ptr<const Policy>& policy, Player& player, Tracer& tracer,
                const ScriptFacts& facts, Lookups* asked, Instant now) {
  const auto parsed = parse_script(read_or_complain(o.session));
  if (const auto* mistake = std::get_if<ScriptMistake>(&parsed)) {
    throw Misuse{fmt::format("{}:{}: {}", o.session, mistake->line, mistake->message)};
  }
  GivenLookups lookups(asked);
  const Given given = given_of(o);
  lookups.take(given);
  Gate gate(player.store(), &tracer, &lookups);
  const auto lines = play_script(std::get<std::vector<ScriptStep>>(parsed), policy, gate, now, facts);
  bool refused = false;
  boost::json::array array;
  for (const ScriptLine& line : lines) {
    refused |= line.reply.starts_with('4') || line.reply.starts_with('5');
    if (o.json) {
      array.push_back(boost::json::object{{"command", line.command}, {"reply", line.reply}});
    } else {
      fmt::print("C: {}\nS: {}\n", line.command, line.reply);
    }
  }
  if (o.json) {
    fmt::print(
        "{}", line_of(boost::json::object{{"dialogue", std::move(array)}, {"trace", json_of_traces(tracer.traces())}}));
  } else {
    print_traces(tracer.traces());
  }
  return refused ? kFound : kFine;
}

}  // namespace

int try_command(const TryOptions& options) try {
  const Loaded loaded = load_policy_file(options.file);
  if (!loaded.ok()) {
    print_diagnostics(loaded.diagnostics, loaded.sources);
    return status_of_failure(loaded.diagnostics);
  }
  const Instant now = time_of(options);
  Tracer tracer;
  const auto mailboxes = mailboxes_of(*loaded.policy);
  Troubles troubles;
  const auto live = options.ask ? waiting_lookups(troubles) : nullptr;
  Player player(loaded.policy, &tracer, mailboxes.get(), live.get());
  if (options.state != "empty") {
    SeededState state = seed_state(options.state, read_source, *loaded.policy, now, player.store());
    print_diagnostics(state.diagnostics, state.sources);
    if (!state.diagnostics.empty()) return status_of_failure(state.diagnostics);
    player.dead().named.insert(state.dead.begin(), state.dead.end());
  }
  return options.session.empty()
             ? try_transactions(options, player, tracer, now)
             : try_session(options, loaded.policy, player, tracer, {mailboxes.get(), &player.dead()}, live.get(), now);
} catch (const Misuse& misuse) {
  fmt::print(stderr, "replygate try: {}\n", misuse.what);
  return kUsage;
}

}  // namespace replygate
