#include "policy/load/rules.h"

#include <algorithm>
#include <map>
#include <set>

#include "policy/load/meant_condition.h"
#include "policy/load/named_fact.h"
#include "policy/load/reason.h"
#include "policy/load/rule_loader.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::pair<std::string_view, Mode> kRuleModes[] = {{"enforce", Mode::enforce}, {"observe", Mode::observe}};
constexpr std::pair<std::string_view, OnUnknown> kOnUnknown[] = {{"skip", OnUnknown::skip},
                                                                 {"tempfail", OnUnknown::tempfail}};
constexpr std::pair<std::string_view, OnStoreError> kOnStoreError[] = {
    {"tempfail", OnStoreError::tempfail}, {"accept", OnStoreError::accept}, {"local", OnStoreError::local}};
constexpr std::pair<std::string_view, Count> kCounts[] = {
    {"accepted", Count::accepted}, {"admitted", Count::admitted}, {"attempts", Count::attempts}};
constexpr std::pair<std::string_view, OutcomesOf> kWhose[] = {{"sent", OutcomesOf::sent}, {"all", OutcomesOf::all}};
constexpr std::pair<std::string_view, Stage> kStageWords[] = {
    {"connect", Stage::connect}, {"helo", Stage::helo},     {"mail", Stage::mail},      {"rcpt", Stage::rcpt},
    {"data", Stage::data},       {"header", Stage::header}, {"message", Stage::message}};
constexpr std::string_view kOutcomes[] = {"reply", "accept", "hold", "discard"};

bool is_rule_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
  });
}

std::string source_of(const Node& node) {
  switch (node.kind) {
    case Node::Kind::boolean: return node.boolean ? "true" : "false";
    case Node::Kind::integer: return std::to_string(node.integer);
    case Node::Kind::array: {
      std::string text;
      for (const Node& item : node.items) text += (text.empty() ? "" : ", ") + source_of(item);
      return '[' + text + ']';
    }
    default: return '"' + node.string + '"';
  }
}

}  // namespace

RuleLoader::RuleLoader(Context& context, Patterns& patterns, Replies& replies, const RuleDefaults& defaults,
                       const Node& table)
    : context_(context),
      patterns_(patterns),
      replies_(replies),
      table_(table),
      counting_(context, patterns, replies, table, rule_) {
  rule_.mode = defaults.mode;
  rule_.on_unknown = defaults.on_unknown;
}

std::vector<Rule> RuleLoader::load() {
  context_.check_keys(table_, "rule", "a rule");
  name();
  rule_.place = {.file = table_.region.file.get(), .line = table_.region.line, .column = table_.region.column};
  if (const Entry* e = table_.find("when")) conditions(*e, rule_.when);
  if (const Entry* e = table_.find("unless")) conditions(*e, rule_.unless);
  counting_.read();
  for (const FactRef& ref : rule_.per) note(ref);
  names_recipient_facts_ |= counting_.names_recipients();
  word("mode", kRuleModes, rule_.mode);
  word("on_unknown", kOnUnknown, rule_.on_unknown);
  word("count", kCounts, rule_.count);
  word("outcomes_of", kWhose, rule_.outcomes_of);
  former_name();
  store_error();
  if (const Entry* e = table_.find("header")) headers(e->value);
  outcome();
  return std::move(parts_);
}

void RuleLoader::name() {
  const Entry* e = table_.find("name");
  if (e == nullptr) {
    context_.error(Rg::missing_key, table_.region, "a rule needs a name", "logs and counters name it");
  } else if (context_.expect(e->value, Node::Kind::string, "name")) {
    rule_.name = e->value.string;
    if (!is_rule_name(rule_.name)) {
      context_.error(Rg::not_a_choice, e->value.region, "a rule's name has 1 to 64 letters, digits, '-', '_' or '.'",
                     "logs, counters and metrics carry it");
    }
  }
}

void RuleLoader::former_name() {
  const Entry* e = table_.find("was");
  if (e == nullptr || !context_.expect(e->value, Node::Kind::string, "was")) return;
  if (is_rule_name(e->value.string)) {
    rule_.was = e->value.string;
  } else {
    context_.error(Rg::not_a_choice, e->value.region, fmt::format("\"{}\" was no rule's name", e->value.string),
                   "write the name that the rule had before");
  }
}

// Without a word of its own, a store that fails is one more fact that cannot be known.
void RuleLoader::store_error() {
  rule_.on_store_error = rule_.on_unknown == OnUnknown::skip ? OnStoreError::accept : OnStoreError::tempfail;
  word("on_store_error", kOnStoreError, rule_.on_store_error);
}

void RuleLoader::note(const FactRef& ref) {
  const FactInfo& row = info(ref.fact);
  raise(row.stage);
  names_recipient_facts_ |= row.stage == Stage::rcpt && row.fact != Fact::recipients;
}

void RuleLoader::conditions(const Entry& entry, std::vector<Condition>& target) {
  if (entry.value.kind != Node::Kind::table) {
    context_.error(Rg::wrong_type, entry.value.region,
                   fmt::format("{} is a table, not {}", entry.key, describe(entry.value.kind)), conditions_help(entry));
    return;
  }
  for (const Entry& e : entry.value.entries) {
    if (e.key == "header" && e.value.kind == Node::Kind::table) {
      header_conditions(e, target);
      continue;
    }
    const auto ref = named_fact(context_, e.key, e.key_region);
    if (!ref) continue;
    note(*ref);
    const FactInfo& row = info(ref->fact);
    std::vector<LiveSourcePtr> live;
    if (auto matcher = patterns_.compile(subject_of(row.fact), row.name, e.value, &live)) {
      const bool tags = may_have_tag(row.kind) && !patterns_.site().subaddress.empty();
      target.push_back({*ref, *std::move(matcher), source_of(e.value), tags, std::move(live)});
      if (grows_in_session(row.fact)) growing_.emplace_back(e.value.region, target.back());
    }
  }
  // Nothing is asked for what another condition decides.
  std::ranges::stable_partition(target, [](const Condition& c) { return c.live.empty(); });
}

void RuleLoader::header_conditions(const Entry& entry, std::vector<Condition>& target) {
  for (const Entry& e : entry.value.entries) {
    if (!is_field_name(e.key)) {
      context_.error(Rg::header_field, e.key_region, fmt::format("\"{}\" is not a header field name", e.key),
                     "write for instance header.Subject");
      continue;
    }
    FactRef ref{Fact::header, to_lower(e.key)};
    note(ref);
    if (auto matcher = patterns_.compile(subject_of(Fact::header), ref.text(), e.value)) {
      target.push_back({std::move(ref), *std::move(matcher), source_of(e.value)});
    }
  }
}

// Moves the rule to where `at` says; never before what it names is known.
void RuleLoader::move_stage() {
  const bool events = std::ranges::any_of(rule_.limits, [](const Limit& l) { return counts_events(l.unit); });
  const Entry* e = table_.find("at");
  const auto wanted = e == nullptr ? std::nullopt : choice(context_, e->value, "at", kStageWords);
  if (!wanted) {
    // What is held against a client is looked at for every recipient; greylisting answers a recipient, too.
    if (events || rule_.greylist || !growing_.empty()) raise(Stage::rcpt);
    return;
  }
  const Stage known = std::max(rule_.stage, counting_.stages().empty() ? rule_.stage : *counting_.stages().rbegin());
  if (*wanted < known) {
    context_.error(Rg::too_early, e->value.region, fmt::format("the rule cannot be judged at {}", to_string(*wanted)),
                   fmt::format("what it names is known at {}; omit `at`", to_string(known)));
  }
  raise(*wanted);
  check_growing(*wanted);
}

void RuleLoader::check_growing(Stage stage) {
  if (stage > Stage::connect) return;
  for (const auto& [at, condition] : growing_) {
    if (matches(condition.matcher, Value(std::int64_t{0})) == Truth::yes) continue;
    context_.error(Rg::cannot_match, at, fmt::format("{} is always 0 at connect", condition.fact.text()),
                   "omit `at`: the rule is then judged for each recipient");
  }
}

void RuleLoader::outcome() {
  std::vector<const Entry*> said;
  for (const std::string_view key : kOutcomes) {
    if (const Entry* e = table_.find(key)) said.push_back(e);
  }
  if (said.size() > 1) {
    Diagnostic& d = context_.error(Rg::outcome, said[1]->key_region,
                                   fmt::format("a rule cannot have {} and {}", said[0]->key, said[1]->key),
                                   "it has one of reply, accept, hold and discard; make two rules");
    d.secondary = Label{said[0]->key_region, "the other answer"};
    return;
  }
  const Entry* header = table_.find("header");
  if (said.empty() && header == nullptr) {
    context_.error(Rg::outcome, table_.region, "the rule does not say what it answers",
                   "write one of reply = …, accept = true, hold = \"reason\", discard = true and header = { … }");
    return;
  }
  if (said.empty()) return tags(*header);
  const std::string_view key = said.front()->key;
  if (key == "accept") return accepts(*said.front());
  if (key == "hold") return holds(*said.front());
  if (key == "discard") return discards(*said.front());
  if (header != nullptr && !rule_.has_limits()) {
    context_.error(Rg::header_never, header->key_region,
                   "the rule refuses whenever it holds; its header is never added",
                   "remove reply or header, or make two rules");
  }
  refuses(said.front()->value);
}

bool RuleLoader::is_true(const Entry& entry, std::string_view instead) {
  if (!context_.expect(entry.value, Node::Kind::boolean, entry.key)) return false;
  if (!entry.value.boolean) {
    context_.error(Rg::not_a_choice, entry.value.region, fmt::format("{} = false says nothing", entry.key),
                   fmt::format("remove it, or write {}", instead));
  }
  return entry.value.boolean;
}

void RuleLoader::accepts(const Entry& entry) {
  if (!is_true(entry, "a reply")) return;
  if (rule_.has_limits()) {
    context_.error(Rg::outcome, entry.value.region,
                   "a rule with a limit answers what is over it; it cannot accept that",
                   "write a reply, or remove the limit");
  }
  finish(Accept{}, entry.value.region);
}

void RuleLoader::holds(const Entry& entry) {
  if (entry.value.kind == Node::Kind::boolean) {
    context_.error(Rg::wrong_type, entry.value.region, "hold is a string, not true or false",
                   "write hold = \"reason\": the MTA's queue shows it");
    return;
  }
  if (!context_.expect(entry.value, Node::Kind::string, "hold")) return;
  const std::string& reason = entry.value.string;
  const bool good = !trim(reason).empty() && reason.size() <= 200 &&
                    std::ranges::all_of(reason, [](char c) { return is_ascii(c) && !is_control(c); });
  if (!good) {
    context_.error(Rg::reply_text, entry.value.region, "the reason to hold is 1 to 200 printable ASCII characters",
                   "the MTA's queue shows it");
  }
  finish(Hold{reason}, entry.value.region);
}

void RuleLoader::discards(const Entry& entry) {
  if (!is_true(entry, "a reply")) return;
  if (names_recipient_facts_) {
    context_.error(Rg::recipient_too_late, entry.value.region, "a message is discarded for all its recipients",
                   "the rule names a fact of one recipient: refuse that recipient, or hold the message");
  }
  finish(Discard{}, entry.value.region);
}

void RuleLoader::tags(const Entry& entry) {
  if (rule_.has_limits()) {
    context_.error(Rg::outcome, entry.key_region,
                   "a rule with a limit answers what is over it; a header is not an answer",
                   "write a reply or hold, or remove the limit");
  }
  finish(Tag{}, entry.key_region);
}

// A rule that refuses nothing is judged as a whole, limits and all, at one stage.
void RuleLoader::finish(Outcome outcome, const Region& at) {
  for (const AddedHeader& header : rule_.headers) {
    for (const FactRef& named : header.value.facts()) note(named);
  }
  if (!counting_.stages().empty()) raise(*counting_.stages().rbegin());
  move_stage();
  rule_.outcome = std::move(outcome);
  rule_.limits = counting_.limits_at(rule_.stage, rule_.limits, at);
  check_recipient_facts(rule_.stage, at);
  parts_.push_back(std::move(rule_));
}

void RuleLoader::headers(const Node& node) {
  if (!context_.expect(node, Node::Kind::table, "header")) return;
  for (const Entry& e : node.entries) {
    if (!is_field_name(e.key)) {
      context_.error(Rg::header_field, e.key_region, fmt::format("\"{}\" is not a header field name", e.key),
                     "write for instance header = { \"X-Policy\" = \"checked\" }");
      continue;
    }
    if (!context_.expect(e.value, Node::Kind::string, e.key)) continue;
    auto parsed = ReplyTemplate::parse(e.value.string);
    if (const auto* mistakes = std::get_if<ReplyTemplate::Mistakes>(&parsed)) {
      for (const auto& m : *mistakes)
        context_.error(Rg::reply_text, part_of(e.value, m.at, m.length), m.message, m.help);
    } else if (std::get<ReplyTemplate>(parsed).lines() > 1) {
      context_.error(Rg::header_field, e.value.region, "a header field has one line", "make it one line");
    } else {
      rule_.headers.push_back({e.key, std::get<ReplyTemplate>(std::move(parsed))});
    }
  }
}

void RuleLoader::refuses(const Node& node) {
  const Classification& without_reason = classification_without_reason();
  const Classification* reason = reason_of(rule_);
  const auto spec = replies_.compile(node, reason != nullptr ? *reason : without_reason);
  if (const Entry* e = table_.find("escalate")) {
    const ReplySpec other{&without_reason, without_reason.code, without_reason.enhanced, {}};
    counting_.escalate(e->value, spec ? *spec : other);
  }
  if (!spec) return;
  for (const FactRef& named : spec->text.facts()) note(named);
  for (const Escalation& step : rule_.escalate) {
    for (const FactRef& named : step.reply.text.facts()) note(named);
  }
  for (const AddedHeader& header : rule_.headers) {
    for (const FactRef& named : header.value.facts()) note(named);
  }
  move_stage();
  rule_.outcome = *spec;
  std::set<Stage> stages;
  for (const Stage counted : counting_.stages()) stages.insert(std::max(rule_.stage, counted));
  if (!rule_.has_limits() || rule_.greylist) stages.insert(rule_.stage);
  for (const Stage stage : stages) add_part(stage, node);
}

void RuleLoader::add_part(Stage stage, const Node& reply) {
  Rule part = rule_;
  part.stage = stage;
  each_limit(part, [&](Limits& limits) { limits = counting_.limits_at(stage, limits, reply.region); });
  check_recipient_facts(stage, reply.region);
  replies_.check_stage(std::get<ReplySpec>(part.outcome), stage, reply.region);
  for (std::size_t i = 0; i < part.escalate.size(); ++i) {
    replies_.check_stage(part.escalate[i].reply, stage, counting_.step_replies()[i]->region);
  }
  parts_.push_back(std::move(part));
}

void RuleLoader::check_recipient_facts(Stage stage, const Region& at) {
  if (stage <= Stage::rcpt || !names_recipient_facts_) return;
  const auto of_recipient =
      std::ranges::find_if(rule_.per, [](const FactRef& f) { return info(f.fact).stage == Stage::rcpt; });
  const auto of_message =
      std::ranges::find_if(rule_.per, [](const FactRef& f) { return info(f.fact).stage > Stage::rcpt; });
  if (of_recipient != rule_.per.end() && of_message != rule_.per.end()) {
    context_.error(
        Rg::recipient_too_late, table_.find("per")->value.region,
        fmt::format("{} is one for all recipients of a message, {} is not", of_message->text(), of_recipient->text()),
        fmt::format("remove {} or {} from per", of_recipient->text(), of_message->text()));
    return;
  }
  context_.error(Rg::recipient_too_late, at,
                 fmt::format("at {} there is one reply for all recipients", to_string(stage)),
                 "the rule names a fact of one recipient: let it be judged at rcpt");
}

namespace {

// Two rules must not count in the same counters.
void check_former_name(Context& context, const Node& table, const std::map<std::string, Region>& names) {
  const Entry* was = table.find("was");
  if (was == nullptr) return;
  const auto same = names.find(was->value.string);
  if (same == names.end()) return;
  Diagnostic& d = context.error(Rg::defined_twice, was->value.region,
                                fmt::format("the rule \"{}\" is still there", was->value.string),
                                "a rule takes over the counters of one that is gone");
  d.secondary = Label{same->second, "here"};
}

}  // namespace

std::vector<Rule> load_rules(Context& context, Patterns& patterns, Replies& replies, const RuleDefaults& defaults,
                             const std::vector<const Node*>& tables) {
  std::vector<Rule> result;
  result.reserve(tables.size());
  std::map<std::string, Region> names;
  for (const Node* table : tables) {
    if (!context.expect(*table, Node::Kind::table, "a rule")) continue;
    for (Rule& part : RuleLoader(context, patterns, replies, defaults, *table).load()) {
      part.index = result.size();
      result.push_back(std::move(part));
    }
    const Entry* name = table->find("name");
    if (name == nullptr || name->value.string.empty()) continue;
    const auto [before, added] = names.try_emplace(name->value.string, name->value.region);
    if (!added) {
      Diagnostic& d =
          context.error(Rg::defined_twice, name->value.region,
                        fmt::format("two rules are named \"{}\"", name->value.string), "give each its own name");
      d.secondary = Label{before->second, "the first one"};
    }
  }
  for (const Node* table : tables) check_former_name(context, *table, names);
  return result;
}

}  // namespace replygate
