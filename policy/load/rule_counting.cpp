#include "policy/load/rule_counting.h"

#include <algorithm>

#include "policy/load/list_source.h"
#include "policy/load/live_limits.h"
#include "policy/load/live_source.h"
#include "policy/load/meant.h"
#include "policy/load/meant_counting.h"
#include "policy/load/named_fact.h"
#include "policy/load/numbers.h"
#include "policy/load/override_key.h"
#include "policy/load/quantities.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostWarning = 100;

// The stage at which a unit is counted.
Stage counting_stage(Unit unit) {
  switch (unit) {
    case Unit::connections:
    case Unit::refusals:
    case Unit::unknown_recipients:
    case Unit::hard_bounces:
    case Unit::blocked:
    case Unit::deferrals:
    case Unit::deliveries:
    case Unit::complaints: return Stage::connect;
    case Unit::messages: return Stage::mail;
    case Unit::recipients:
    case Unit::distinct_recipients: return Stage::rcpt;
    case Unit::bytes: return Stage::message;
  }
  return Stage::mail;
}

}  // namespace

void RuleCounting::read() {
  if (const Entry* e = table_.find("per")) per(e->value);
  if (const Entry* e = table_.find("limit")) {
    rule_.limits = limits(e->value);
    rule_.limited = true;
  }
  if (const Entry* e = table_.find("override")) overrides(e->value);
  if (const Entry* e = table_.find("burst")) burst(e->value);
  at_least(table_.find("at_least"));
  if (const Entry* e = table_.find("warn_at")) warn_at(e->value);
  if (const Entry* e = table_.find("greylist")) greylist(e->value);
  if (const Entry* e = table_.find("share")) share(e->value);
  report_keys_without_meaning();
  warn_of_idle_keys();
}

void RuleCounting::report_keys_without_meaning() {
  const auto report = [&](std::string_view key, std::string_view message, std::string_view help) {
    if (const Entry* e = table_.find(key)) {
      context_.error(Rg::limit_missing, e->key_region, fmt::format("{} {}", key, message), std::string(help));
    }
  };
  constexpr std::string_view kIdle = "without a limit means nothing";
  constexpr std::string_view kLimit = "add for instance limit = \"100 messages / 1h\"";
  if (table_.find("limit") == nullptr) {
    for (const std::string_view key : {"count", "override", "burst", "warn_at", "at_least", "outcomes_of"}) {
      report(key, kIdle, kLimit);
    }
    const bool keyed = std::ranges::any_of(std::initializer_list<std::string_view>{"greylist", "escalate", "share"},
                                           [&](std::string_view key) { return table_.find(key) != nullptr; });
    if (!keyed) report("per", kIdle, kLimit);
  }
  if (table_.find("per") == nullptr) {
    for (const std::string_view key : {"greylist", "escalate", "share", "override"}) {
      report(key, "is for each key, and the rule has none", "add for instance per = \"client_ip\"");
    }
  }
}

void RuleCounting::per(const Node& node) {
  each_item(node, [&](const Node& item) {
    if (!context_.expect(item, Node::Kind::string, "a fact of per")) return;
    if (auto ref = patterns_.maps().key(item.string, item.region)) rule_.per.push_back(*std::move(ref));
  });
}

Limits RuleCounting::limits(const Node& node) {
  Limits result;
  each_item(node, [&](const Node& item) { add_limit(item, result); });
  return result;
}

void RuleCounting::add_limit(const Node& node, Limits& result) {
  const auto limit = parse_limit(context_, node);
  has_failed_ |= !limit;
  if (!limit) return;
  const bool twice = std::ranges::any_of(
      result, [&](const Limit& l) { return l.unit == limit->unit && l.period_text() == limit->period_text(); });
  if (twice) {
    context_.error(Rg::limit_twice, node.region,
                   fmt::format("two limits of {} / {}", to_string(limit->unit), limit->period_text()),
                   "keep the smaller one; it alone would act");
    return;
  }
  if (limit->unit == Unit::distinct_recipients && limit->scope == Scope::calendar) {
    context_.error(Rg::limit_syntax, node.region, "distinct_recipients are counted over a sliding time",
                   fmt::format("write \"{} distinct_recipients / 1d\"", limit->most));
    return;
  }
  if (counts_outcomes(limit->unit) && limit->scope != Scope::window) {
    context_.error(
        Rg::limit_syntax, node.region, fmt::format("{} are counted over a sliding time", to_string(limit->unit)),
        fmt::format("what became of mail is known later: write \"/ 1h\" in place of \"/ {}\"", limit->period_text()));
    return;
  }
  if (limit->share > 0) shares_.push_back(node.region);
  report_idle(node, *limit);
  stages_.insert(counting_stage(limit->unit));
  if (limit->unit == Unit::distinct_recipients) names_recipients_ = true;
  result.push_back(*limit);
}

// A message is one message, a session one connection.
void RuleCounting::report_idle(const Node& node, const Limit& limit) {
  const bool alone =
      (limit.unit == Unit::messages && limit.scope == Scope::message) ||
      (limit.unit == Unit::connections && (limit.scope == Scope::message || limit.scope == Scope::session));
  if (!alone || limit.most == 0) return;
  context_.warning(Rg::limit_idle, node.region, fmt::format("nothing is ever beyond {}", limit.text()),
                   limit.unit == Unit::messages ? "write \"/ session\", or count recipients"
                                                : "write for instance \"100 connections / 1h\"");
}

// A limit over another kind of period goes on beside what the key has of its own.
void RuleCounting::note_what_stays(const OwnLimits& own, const Region& at) {
  for (const Limit& limit : rule_.limits) {
    const auto replaces = [&](const Limit& l) { return l.unit == limit.unit && l.scope == limit.scope; };
    const auto looser = [&](const Limit& l) { return l.unit == limit.unit && l.most > limit.most; };
    const bool exempt = own.all || std::ranges::find(own.exempt, limit.unit) != own.exempt.end();
    if (has_noted_ || exempt || std::ranges::any_of(own.limits, replaces)) continue;
    if (std::ranges::none_of(own.limits, looser)) continue;
    has_noted_ = true;
    context_.note(
        Rg::limit_stays, at, fmt::format("\"{}\" of the rule stays in force for this key", limit.text()),
        "an override takes the place of limits over the same kind of period: a time, the calendar, message, session");
  }
}

void RuleCounting::burst(const Node& node) {
  const bool bytes = !rule_.limits.empty() && rule_.limits.front().unit == Unit::bytes;
  std::optional<std::int64_t> depth;
  if (node.kind == Node::Kind::integer && !bytes) depth = node.integer;
  if (node.kind == Node::Kind::string) depth = bytes ? parse_size(node.string) : parse_count(node.string);
  if (!depth || *depth < 1) {
    context_.error(Rg::burst, node.region, "burst is how much may come at once", burst_help(node, bytes));
    return;
  }
  if (is_beyond(context_, *depth, "the burst", node.region)) return;
  bool well = true;
  each_limit(rule_, [&](Limits& all) {
    for (Limit& limit : all) {
      const bool window =
          limit.scope == Scope::window && limit.unit != Unit::distinct_recipients && !counts_outcomes(limit.unit);
      well &= window && (limit.unit == Unit::bytes) == bytes;
      limit.burst = *depth;
    }
  });
  if (rule_.overrides.live.source != nullptr && well) {
    rule_.overrides.live.read = [depth = *depth](std::string_view text) {
      auto own = read_live_limits(text);
      if (own) std::ranges::for_each(own->limits, [&](Limit& limit) { limit.burst = depth; });
      return own;
    };
  }
  if (!well) {
    context_.error(Rg::burst, node.region,
                   "a burst is for limits over a time, in one unit, and not for distinct_recipients or outcomes",
                   "write for instance limit = \"60 messages / 1h\"");
  }
}

void RuleCounting::warn_at(const Node& node) {
  const auto share = read_share(node, "warn_at", "a limit");
  if (!share) return;
  if (*share < 100 || *share > kMostWarning * 100) {
    context_.error(Rg::quantity, node.region, fmt::format("\"{}\" is not a share of a limit", node.string),
                   "write something from \"1%\" to \"100%\"");
    return;
  }
  rule_.warn_at = *share / 100;
}

// "80%"; a number alone, or a fraction of one, is reported with the percentage that it probably means.
std::optional<std::int64_t> RuleCounting::read_share(const Node& node, std::string_view key, std::string_view of) {
  const std::string meant = meant_share(node);
  if (node.kind != Node::Kind::string && meant.empty()) {
    context_.expect(node, Node::Kind::string, key);
    return std::nullopt;
  }
  const auto share = node.kind == Node::Kind::string ? parse_share(node.string) : std::nullopt;
  if (share) return share;
  const std::string written =
      node.kind == Node::Kind::string ? fmt::format("\"{}\"", node.string) : meant.substr(0, meant.size() - 1);
  context_.error(Rg::quantity, node.region, fmt::format("{} is not a share of {}", written, of),
                 fmt::format("write \"{}\"", meant.empty() ? "10%" : meant));
  return std::nullopt;
}

void RuleCounting::share(const Node& node) {
  const auto share = read_share(node, "share", "the keys");
  if (!share) return;
  if (*share > Rule::kWhole) {
    context_.error(Rg::quantity, node.region, fmt::format("\"{}\" is not a share of the keys", node.string),
                   "write for instance \"10%\"");
    return;
  }
  rule_.share = *share;
}

void RuleCounting::live_override(const Node& node) {
  if (node.kind == Node::Kind::table) context_.check_keys(node, "list", "override");
  rule_.overrides.live = {parse_live_source(context_, node, "override", ""), read_live_limits};
}

void RuleCounting::overrides(const Node& node) {
  if (names_live_source(node)) return live_override(node);
  if (node.kind != Node::Kind::table) {
    context_.error(Rg::wrong_type, node.region, fmt::format("override is a table, not {}", describe(node.kind)),
                   "write { \"user@example.org\" = \"1000 messages / 1h\" }, or { file = \"path\" }");
    return;
  }
  const bool source = node.find("file") != nullptr || node.find("sqlite") != nullptr;
  if (source) return override_source(node);
  for (const Entry& e : node.entries) {
    OwnLimits own;
    each_item(e.value, [&](const Node& item) { add_to_override(item, own); });
    note_what_stays(own, e.value.region);
    add_override(e.key, e.key_region, own.in_place_of(rule_.limits));
  }
}

// "unlimited", "unlimited messages", or a limit.
void RuleCounting::add_to_override(const Node& node, OwnLimits& own) {
  constexpr std::string_view kWord = "unlimited";
  const std::string_view text = node.kind == Node::Kind::string ? trim(node.string) : "";
  if (is_meant_unlimited(text)) {
    context_.error(Rg::limit_syntax, node.region, fmt::format("\"{}\" is not a limit", text),
                   "did you mean \"unlimited\"?");
    return;
  }
  if (!text.starts_with(kWord)) return add_limit(node, own.limits);
  const std::string_view unit = trim(text.substr(kWord.size()));
  if (unit.empty()) {
    own.all = true;
  } else if (const auto exempt = unit_from(unit); exempt && text[kWord.size()] == ' ') {
    own.exempt.push_back(*exempt);
    if (std::ranges::find(rule_.limits, *exempt, &Limit::unit) == rule_.limits.end()) {
      context_.warning(Rg::limit_idle, node.region, fmt::format("the rule has no limit of {}", to_string(*exempt)),
                       "\"unlimited\" exempts from all that it has");
    }
  } else {
    context_.error(Rg::unknown_unit, node.region, fmt::format("\"{}\" exempts from nothing", text),
                   suggestion(unit, unit_names(), "it is \"unlimited\", or with one of"));
  }
}

// "key 100 messages / 1h, 1000 messages / 1d", one a line.
void RuleCounting::override_source(const Node& node) {
  context_.check_keys(node, "list", "override");
  for (const std::string_view key : {"cache", "timeout"}) report_without_live(context_, node, key);
  const auto source = parse_source(context_, node, "override");
  if (!source) return;
  ListText list = read_list(context_, *source);
  while (const auto item = list.next()) {
    const auto [key, text] = split_item(item->text);
    Region at = item->region();
    at.column += static_cast<unsigned>(text.empty() ? 0 : text.data() - item->text.data());
    OwnLimits own;
    for (const std::string_view part : split(text, ',')) {
      add_to_override(Node{.kind = Node::Kind::string, .region = at, .string = std::string(trim(part))}, own);
    }
    note_what_stays(own, at);
    add_override(key, item->region(), own.in_place_of(rule_.limits));
  }
}

// Lists may have the same entries today and others tomorrow.
bool RuleCounting::is_known(const OverrideKey& key) const {
  if (key.list) return false;
  const auto any = [](const auto& known, std::size_t lists, const auto& is_same) {
    return std::any_of(known.begin(), known.end() - static_cast<std::ptrdiff_t>(lists), is_same);
  };
  const Overrides& known = rule_.overrides;
  if (key.networks != nullptr) {
    return any(known.networks, network_lists_, [&](const auto& n) { return *n.first == *key.networks; });
  }
  if (key.pattern == nullptr) return known.exact.contains(key.exact);
  return any(known.patterns, list_overrides_, [&](const auto& p) { return is_same_pattern(*p.first, *key.pattern); });
}

void RuleCounting::add_override(std::string_view text, const Region& at, Limits own) {
  if (rule_.per.empty()) return;  // is reported once
  auto key = override_key(context_, patterns_, rule_.per, text, at);
  auto& patterns = rule_.overrides.patterns;
  if (!key) return;
  if (is_known(*key)) {
    const std::string_view known = key->exact.empty() ? text : key->exact;
    context_.error(Rg::override_key, at, fmt::format("there is an override for the key \"{}\" already", known),
                   "spellings of one key are one: keep one of them");
  } else if (key->networks != nullptr) {
    auto& networks = rule_.overrides.networks;
    const auto end = networks.end() - static_cast<std::ptrdiff_t>(key->list ? 0 : network_lists_);
    networks.insert(end, {std::move(key->networks), std::move(own)});
    if (key->list) ++network_lists_;
  } else if (key->pattern == nullptr) {
    rule_.overrides.exact.insert_or_assign(std::move(key->exact), std::move(own));
  } else if (key->list) {
    patterns.emplace_back(std::move(key->pattern), std::move(own));
    ++list_overrides_;
  } else {  // a pattern goes before every list
    patterns.insert(patterns.end() - static_cast<std::ptrdiff_t>(list_overrides_),
                    {std::move(key->pattern), std::move(own)});
  }
}

void RuleCounting::escalate(const Node& node, const ReplySpec& own) {
  each_item(node, [&](const Node& step) { escalation_step(step, own); });
}

void RuleCounting::escalation_step(const Node& node, const ReplySpec& own) {
  if (!context_.expect(node, Node::Kind::table, "a step of escalate")) return;
  context_.check_keys(node, "escalate", "a step of escalate");
  const Entry* after = node.find("after");
  const Entry* reply = node.find("reply");
  if (after == nullptr || reply == nullptr) {
    context_.error(Rg::missing_key, node.region, "a step needs after and reply",
                   "write { after = \"10 refusals / 1h\", reply = 550 }");
    return;
  }
  const auto limit = parse_limit(context_, after->value);
  auto spec = replies_.compile_step(reply->value, own);
  if (!limit || !spec) return;
  if (limit->unit != Unit::refusals || limit->scope != Scope::window || limit->most < 1) {
    context_.error(Rg::escalation, after->value.region, "a step begins after a number of refusals in a period",
                   "write for instance after = \"10 refusals / 1h\"");
    return;
  }
  rule_.escalate.push_back({*limit, *std::move(spec)});
  step_replies_.push_back(&reply->value);
}

Limits RuleCounting::limits_at(Stage stage, const Limits& limits, const Region& at) {
  Limits result;
  for (const Limit& limit : limits) {
    const Stage counted = counting_stage(limit.unit);
    if (std::max(rule_.stage, counted) != stage) continue;
    result.push_back(limit);
    const bool movable = limit.unit == Unit::messages || limit.unit == Unit::recipients || counts_events(limit.unit) ||
                         (limit.unit == Unit::connections && stage <= Stage::helo);
    if (stage == counted || movable) continue;
    context_.error(Rg::unit_stage, at,
                   fmt::format("{} are counted at {}, but the rule is judged at {}", to_string(limit.unit),
                               to_string(counted), to_string(stage)),
                   "name only facts that are known there, or make two rules");
  }
  return result;
}

}  // namespace replygate
