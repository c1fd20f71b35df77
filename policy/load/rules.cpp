#include "policy/load/rules.h"

#include <algorithm>
#include <map>
#include <set>

#include "policy/load/numbers.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::pair<std::string_view, Mode> kModes[] = {{"enforce", Mode::enforce}, {"observe", Mode::observe}};
constexpr std::pair<std::string_view, OnUnknown> kOnUnknown[] = {{"skip", OnUnknown::skip},
                                                                 {"tempfail", OnUnknown::tempfail}};
constexpr std::pair<std::string_view, Count> kCounts[] = {{"accepted", Count::accepted}, {"attempts", Count::attempts}};
constexpr std::pair<std::string_view, Stage> kStageWords[] = {{"connect", Stage::connect}, {"helo", Stage::helo},
                                                              {"mail", Stage::mail},       {"rcpt", Stage::rcpt},
                                                              {"data", Stage::data},       {"message", Stage::message}};

// The stage at which a unit is counted.
Stage stage_of(Unit unit) {
  switch (unit) {
    case Unit::connections: return Stage::connect;
    case Unit::messages: return Stage::mail;
    case Unit::recipients: return Stage::rcpt;
    case Unit::bytes: return Stage::message;
  }
  return Stage::mail;
}

class RuleLoader {
 public:
  RuleLoader(Context& context, Patterns& patterns, Replies& replies, const RuleDefaults& defaults, const Node& table)
      : context_(context), patterns_(patterns), replies_(replies), table_(table) {
    rule_.mode = defaults.mode;
    rule_.on_unknown = defaults.on_unknown;
  }

  // A rule, or several of one name: limits in units that are counted at different stages make a part each.
  std::vector<Rule> load() {
    context_.check_keys(table_, "rule", "a rule");
    name();
    rule_.place = {.file = table_.region.file, .line = table_.region.line, .column = table_.region.column};
    if (const Entry* e = table_.find("when")) conditions(*e, rule_.when);
    if (const Entry* e = table_.find("unless")) conditions(*e, rule_.unless);
    if (const Entry* e = table_.find("per")) per(e->value);
    if (const Entry* e = table_.find("limit")) {
      rule_.limits = limits(e->value);
      rule_.limited = true;
    }
    if (const Entry* e = table_.find("override")) overrides(e->value);
    word("mode", kModes, rule_.mode);
    word("on_unknown", kOnUnknown, rule_.on_unknown);
    word("count", kCounts, rule_.count);
    limit_keys();
    outcome();
    return std::move(parts_);
  }

 private:
  template <typename T, std::size_t N>
  void word(std::string_view key, const std::pair<std::string_view, T> (&choices)[N], T& target) {
    if (const Entry* e = table_.find(key)) {
      if (const auto value = choice(context_, e->value, key, choices)) target = *value;
    }
  }

  void name() {
    const Entry* e = table_.find("name");
    if (e == nullptr) {
      context_.error(Rg::missing_key, table_.region, "a rule needs a name", "logs and counters name it");
    } else if (context_.expect(e->value, Node::Kind::string, "name")) {
      rule_.name = e->value.string;
      const bool good = !rule_.name.empty() && rule_.name.size() <= 64 && std::ranges::all_of(rule_.name, [](char c) {
        return is_alpha(c) || is_digit(c) || c == '-' || c == '_' || c == '.';
      });
      if (!good) {
        context_.error(Rg::not_a_choice, e->value.region, "a rule's name has 1 to 64 letters, digits, '-', '_' or '.'",
                       "logs, counters and metrics carry it");
      }
    }
  }

  const FactInfo* fact(std::string_view name, const Region& at) {
    const FactInfo* row = find_fact(name);
    if (row != nullptr) {
      note(*row);
      return row;
    }
    if (context_.report_if_planned("fact", name, at)) return nullptr;
    std::vector<std::string_view> names;
    for (const FactInfo& known : fact_table()) names.push_back(known.name);
    const std::string_view meant = nearest(name, names);
    context_.error(Rg::unknown_fact, at, fmt::format("there is no fact \"{}\"", name),
                   meant.empty() ? "POLICY.md lists the facts" : fmt::format("did you mean \"{}\"?", meant));
    return nullptr;
  }

  void note(const FactInfo& row) {
    raise(row.stage);
    names_recipient_facts_ |= row.stage == Stage::rcpt && row.fact != Fact::recipients;
  }

  void raise(Stage stage) { rule_.stage = std::max(rule_.stage, stage); }

  void conditions(const Entry& entry, std::vector<Condition>& target) {
    if (!context_.expect(entry.value, Node::Kind::table, entry.key)) return;
    for (const Entry& e : entry.value.entries) {
      const FactInfo* row = fact(e.key, e.key_region);
      if (row == nullptr) continue;
      if (auto matcher = patterns_.compile(row->kind, row->name, e.value)) {
        target.push_back({row->fact, *std::move(matcher), source_of(e.value)});
      }
    }
  }

  static std::string source_of(const Node& node) {
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

  void per(const Node& node) {
    const auto add = [&](const Node& item) {
      if (!context_.expect(item, Node::Kind::string, "a fact of per")) return;
      if (const FactInfo* row = fact(item.string, item.region)) rule_.per.push_back(row->fact);
    };
    if (node.kind == Node::Kind::array) {
      std::ranges::for_each(node.items, add);
    } else {
      add(node);
    }
  }

  Limits limits(const Node& node) {
    Limits result;
    const auto add = [&](const Node& item) {
      const auto limit = parse_limit(context_, item);
      if (!limit) return;
      const bool twice = std::ranges::any_of(
          result, [&](const Limit& l) { return l.unit == limit->unit && l.period_text() == limit->period_text(); });
      if (twice) {
        context_.error(Rg::limit_twice, item.region,
                       fmt::format("two limits of {} / {}", to_string(limit->unit), limit->period_text()),
                       "keep the smaller one; it alone would act");
        return;
      }
      unit_stages_.insert(stage_of(limit->unit));
      result.push_back(*limit);
    };
    if (node.kind == Node::Kind::array) {
      std::ranges::for_each(node.items, add);
    } else {
      add(node);
    }
    return result;
  }

  void overrides(const Node& node) {
    if (!context_.expect(node, Node::Kind::table, "override")) return;
    const FactKind kind = rule_.per.size() == 1 ? info(rule_.per.front()).kind : FactKind::text;
    auto& patterns = rule_.overrides.patterns;
    std::size_t before_lists = 0;
    for (const Entry& e : node.entries) {
      const bool exempt = e.value.kind == Node::Kind::string && e.value.string == "unlimited";
      Limits own = exempt ? Limits() : limits(e.value);
      if (kind == FactKind::ip) {
        address_override(e, std::move(own));
      } else if (!is_pattern(e.key)) {
        rule_.overrides.exact.emplace(to_lower(e.key), std::move(own));
      } else if (auto set = patterns_.text_pattern(e.key, e.key_region, kind); set && e.key.starts_with('$')) {
        patterns.emplace_back(std::move(set), std::move(own));
      } else if (set) {  // a pattern goes before every list
        patterns.insert(patterns.begin() + static_cast<std::ptrdiff_t>(before_lists++),
                        {std::move(set), std::move(own)});
      }
    }
  }

  void address_override(const Entry& e, Limits own) {
    if (const auto address = IpAddress::parse(e.key)) {
      rule_.overrides.exact.emplace(address->text(), std::move(own));
    } else {
      context_.error(Rg::pattern_type, e.key_region, fmt::format("\"{}\" is no address, and the key is one", e.key),
                     "write an address; for networks count per client_net, or make a rule with client_ip in `when`");
    }
  }

  static bool is_pattern(std::string_view key) {
    return key.find_first_of("*?$") != std::string_view::npos || key.starts_with('@') || key.ends_with('@') ||
           key.starts_with('.') || key.starts_with('/');
  }

  // per, count and override are about limits; units must be counted where the rule is judged.
  void limit_keys() {
    if (table_.find("limit") == nullptr) {
      for (const std::string_view key : {"per", "count", "override"}) {
        if (const Entry* e = table_.find(key)) {
          context_.error(Rg::limit_missing, e->key_region, fmt::format("{} without a limit means nothing", key),
                         "add for instance limit = \"100 messages / 1h\"");
        }
      }
    }
  }

  // Moves the rule to where `at` says; never before what it names is known.
  void move_stage() {
    const Entry* e = table_.find("at");
    const auto wanted = e == nullptr ? std::nullopt : choice(context_, e->value, "at", kStageWords);
    if (!wanted) return;
    const Stage known = std::max(rule_.stage, unit_stages_.empty() ? rule_.stage : *unit_stages_.rbegin());
    if (*wanted < known) {
      context_.error(Rg::too_early, e->value.region, fmt::format("the rule cannot be judged at {}", to_string(*wanted)),
                     fmt::format("what it names is known at {}; leave `at` away", to_string(known)));
    }
    raise(*wanted);
  }

  void outcome() {
    const Entry* reply = table_.find("reply");
    const Entry* accept = table_.find("accept");
    if ((reply != nullptr) == (accept != nullptr)) {
      context_.error(Rg::outcome, reply != nullptr ? accept->key_region : table_.region,
                     reply != nullptr ? "a rule cannot refuse and accept" : "the rule says neither reply nor accept",
                     "write one of reply = … and accept = true");
    } else if (accept != nullptr) {
      accepts(accept->value);
    } else {
      refuses(reply->value);
    }
  }

  void accepts(const Node& node) {
    if (!context_.expect(node, Node::Kind::boolean, "accept")) return;
    if (!node.boolean) {
      context_.error(Rg::not_a_choice, node.region, "accept = false says nothing", "remove it, or write a reply");
    }
    if (rule_.has_limits()) {
      context_.error(Rg::outcome, node.region, "a rule with a limit refuses what is over it; it cannot accept",
                     "write a reply, or remove the limit");
    }
    move_stage();
    rule_.outcome = Accept{};
    check_recipient_facts(rule_.stage, node.region);
    parts_.push_back(std::move(rule_));
  }

  void refuses(const Node& node) {
    const auto spec = replies_.compile(node, rule_.stage);
    if (!spec) return;
    for (const Fact named : spec->text.facts()) note(info(named));
    move_stage();
    std::set<Stage> stages;
    for (const Stage counted : unit_stages_) stages.insert(std::max(rule_.stage, counted));
    if (!rule_.has_limits()) stages.insert(rule_.stage);
    for (const Stage stage : stages) add_part(stage, node);
  }

  void add_part(Stage stage, const Node& reply) {
    Rule part = rule_;
    part.stage = stage;
    part.limits = limits_at(stage, rule_.limits, reply.region);
    for (auto& [key, limits] : part.overrides.exact) limits = limits_at(stage, limits, reply.region);
    for (auto& [set, limits] : part.overrides.patterns) limits = limits_at(stage, limits, reply.region);
    check_recipient_facts(stage, reply.region);
    // The stage may decide what a bare code means.
    auto spec = replies_.compile(reply, stage);
    if (!spec) return;
    replies_.check_stage(*spec, stage, reply.region);
    part.outcome = *std::move(spec);
    parts_.push_back(std::move(part));
  }

  // Those that are counted at a stage; reports those that cannot be counted where the rule's facts put them.
  Limits limits_at(Stage stage, const Limits& limits, const Region& at) {
    Limits result;
    for (const Limit& limit : limits) {
      const Stage counted = stage_of(limit.unit);
      if (std::max(rule_.stage, counted) != stage) continue;
      result.push_back(limit);
      const bool movable = limit.unit == Unit::messages || (limit.unit == Unit::connections && stage <= Stage::helo);
      if (stage == counted || movable) continue;
      context_.error(Rg::unit_stage, at,
                     fmt::format("{} are counted at {}, but the rule is judged at {}", to_string(limit.unit),
                                 to_string(counted), to_string(stage)),
                     "name only facts that are known there, or make two rules");
    }
    return result;
  }

  void check_recipient_facts(Stage stage, const Region& at) {
    if (stage <= Stage::rcpt || !names_recipient_facts_) return;
    context_.error(Rg::recipient_too_late, at,
                   fmt::format("at {} there is one reply for all recipients", to_string(stage)),
                   "the rule names a fact of one recipient: let it be judged at rcpt");
  }

  Context& context_;
  Patterns& patterns_;
  Replies& replies_;
  const Node& table_;
  Rule rule_;
  std::set<Stage> unit_stages_;  // at which its limits and overrides are counted
  bool names_recipient_facts_ = false;
  std::vector<Rule> parts_;
};

}  // namespace

std::vector<Rule> load_rules(Context& context, Patterns& patterns, Replies& replies, const RuleDefaults& defaults,
                             const Node& rules) {
  std::vector<Rule> result;
  std::map<std::string, Region> names;
  for (const Node& table : rules.items) {
    if (!context.expect(table, Node::Kind::table, "a rule")) continue;
    for (Rule& part : RuleLoader(context, patterns, replies, defaults, table).load()) {
      part.index = result.size();
      result.push_back(std::move(part));
    }
    const Entry* name = table.find("name");
    if (name == nullptr || name->value.string.empty()) continue;
    const auto [before, added] = names.try_emplace(name->value.string, name->value.region);
    if (!added) {
      Diagnostic& d =
          context.error(Rg::defined_twice, name->value.region,
                        fmt::format("two rules are named \"{}\"", name->value.string), "give each its own name");
      d.secondary = Label{before->second, "the first one"};
    }
  }
  return result;
}

}  // namespace replygate
