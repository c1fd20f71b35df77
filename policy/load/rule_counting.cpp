#include <algorithm>

#include "policy/load/list_source.h"
#include "policy/load/numbers.h"
#include "policy/load/quantities.h"
#include "policy/load/rule_loader.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostWarning = 100;
constexpr std::int64_t kDay = 86'400'000;  // milliseconds

bool is_pattern(std::string_view key) {
  return key.find_first_of("*?$") != std::string_view::npos || key.starts_with('@') || key.ends_with('@') ||
         key.starts_with('.') || key.starts_with('/');
}

// A string, or each string of an array.
template <typename Each>
void each_item(const Node& node, Each each) {
  if (node.kind != Node::Kind::array) return each(node);
  std::ranges::for_each(node.items, each);
}

}  // namespace

Stage stage_of(Unit unit) {
  switch (unit) {
    case Unit::connections:
    case Unit::refusals:
    case Unit::unknown_recipients: return Stage::connect;
    case Unit::messages: return Stage::mail;
    case Unit::recipients:
    case Unit::distinct_recipients: return Stage::rcpt;
    case Unit::bytes: return Stage::message;
  }
  return Stage::mail;
}

void RuleLoader::counting() {
  if (const Entry* e = table_.find("per")) per(e->value);
  if (const Entry* e = table_.find("limit")) {
    rule_.limits = limits(e->value);
    rule_.limited = true;
  }
  if (const Entry* e = table_.find("override")) overrides(e->value);
  if (const Entry* e = table_.find("burst")) burst(e->value);
  if (const Entry* e = table_.find("warn_at")) warn_at(e->value);
  if (const Entry* e = table_.find("greylist")) greylist(e->value);
  if (const Entry* e = table_.find("share")) share(e->value);
  report_keys_without_meaning();
}

void RuleLoader::report_keys_without_meaning() {
  const auto report = [&](std::string_view key, std::string message, std::string help) {
    if (const Entry* e = table_.find(key)) {
      context_.error(Rg::limit_missing, e->key_region, std::move(message), std::move(help));
    }
  };
  if (table_.find("limit") == nullptr) {
    for (const std::string_view key : {"count", "override", "burst", "warn_at"}) {
      report(key, fmt::format("{} without a limit means nothing", key),
             "add for instance limit = \"100 messages / 1h\"");
    }
    const bool keyed = std::ranges::any_of(std::initializer_list<std::string_view>{"greylist", "escalate", "share"},
                                           [&](std::string_view key) { return table_.find(key) != nullptr; });
    if (!keyed) {
      report("per", "per without a limit means nothing", "add for instance limit = \"100 messages / 1h\"");
    }
  }
  if (table_.find("per") == nullptr) {
    for (const std::string_view key : {"greylist", "escalate", "share"}) {
      report(key, fmt::format("{} is for each key, and the rule has none", key),
             "add for instance per = \"client_ip\"");
    }
  }
}

void RuleLoader::per(const Node& node) {
  each_item(node, [&](const Node& item) {
    if (!context_.expect(item, Node::Kind::string, "a fact of per")) return;
    if (auto ref = fact(item.string, item.region)) rule_.per.push_back(*std::move(ref));
  });
}

Limits RuleLoader::limits(const Node& node) {
  Limits result;
  each_item(node, [&](const Node& item) { add_limit(item, result); });
  return result;
}

void RuleLoader::add_limit(const Node& node, Limits& result) {
  const auto limit = parse_limit(context_, node);
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
  unit_stages_.insert(stage_of(limit->unit));
  if (limit->unit == Unit::distinct_recipients) names_recipient_facts_ = true;
  result.push_back(*limit);
}

void RuleLoader::burst(const Node& node) {
  const bool bytes = !rule_.limits.empty() && rule_.limits.front().unit == Unit::bytes;
  std::optional<std::int64_t> depth;
  if (node.kind == Node::Kind::integer && !bytes) depth = node.integer;
  if (node.kind == Node::Kind::string) depth = bytes ? parse_size(node.string) : parse_count(node.string);
  if (!depth || *depth < 1) {
    context_.error(Rg::burst, node.region, "burst is how much may come at once",
                   bytes ? "write for instance burst = \"10 MB\"" : "write for instance burst = 50");
    return;
  }
  bool well = true;
  each_limit(rule_, [&](Limits& all) {
    for (Limit& limit : all) {
      const bool window = limit.scope == Scope::window && limit.unit != Unit::distinct_recipients;
      well &= window && (limit.unit == Unit::bytes) == bytes;
      limit.burst = *depth;
    }
  });
  if (!well) {
    context_.error(Rg::burst, node.region,
                   "a burst is for limits over a time, in one unit that is not distinct_recipients",
                   "write for instance limit = \"60 messages / 1h\"");
  }
}

void RuleLoader::warn_at(const Node& node) {
  if (!context_.expect(node, Node::Kind::string, "warn_at")) return;
  const auto share = parse_share(node.string);
  if (!share || *share < 100 || *share > kMostWarning * 100) {
    context_.error(Rg::quantity, node.region, fmt::format("\"{}\" is no share of a limit", node.string),
                   "write something from \"1%\" to \"100%\"");
    return;
  }
  rule_.warn_at = *share / 100;
}

void RuleLoader::share(const Node& node) {
  if (!context_.expect(node, Node::Kind::string, "share")) return;
  const auto share = parse_share(node.string);
  if (!share || *share > Rule::kWhole) {
    context_.error(Rg::quantity, node.region, fmt::format("\"{}\" is no share of the keys", node.string),
                   "write for instance \"10%\"");
    return;
  }
  rule_.share = *share;
}

void RuleLoader::overrides(const Node& node) {
  if (!context_.expect(node, Node::Kind::table, "override")) return;
  const bool source = node.find("file") != nullptr || node.find("sqlite") != nullptr;
  if (source) return override_source(node);
  for (const Entry& e : node.entries) {
    const bool exempt = e.value.kind == Node::Kind::string && e.value.string == "unlimited";
    add_override(e.key, e.key_region, exempt ? Limits() : limits(e.value));
  }
}

// "key 100 messages / 1h, 1000 messages / 1d", one a line.
void RuleLoader::override_source(const Node& node) {
  context_.check_keys(node, "list", "override");
  const auto source = parse_source(context_, node, "override");
  if (!source) return;
  for (const ListItem& item : read_items(context_, *source)) {
    const auto [key, text] = split_item(item.text);
    Region at = item.region();
    at.column += static_cast<unsigned>(text.empty() ? 0 : text.data() - item.text.data());
    Limits own;
    if (text != "unlimited") {
      for (const std::string_view part : split(text, ',')) {
        add_limit(Node{.kind = Node::Kind::string, .region = at, .string = std::string(part)}, own);
      }
    }
    add_override(key, item.region(), std::move(own));
  }
}

void RuleLoader::add_override(std::string_view key, const Region& at, Limits own) {
  const FactKind kind = rule_.per.size() == 1 ? info(rule_.per.front().fact).kind : FactKind::text;
  auto& patterns = rule_.overrides.patterns;
  if (kind == FactKind::ip) {
    if (const auto address = IpAddress::parse(key)) {
      rule_.overrides.exact.insert_or_assign(address->text(), std::move(own));
    } else {
      context_.error(Rg::pattern_type, at, fmt::format("\"{}\" is no address, and the key is one", key),
                     "write an address; for networks count per client_net, or make a rule with client_ip in `when`");
    }
  } else if (!is_pattern(key)) {
    rule_.overrides.exact.insert_or_assign(to_lower(key), std::move(own));
  } else if (auto set = patterns_.text_pattern(std::string(key), at, kind); set && key.starts_with('$')) {
    patterns.emplace_back(std::move(set), std::move(own));
    ++list_overrides_;
  } else if (set) {  // a pattern goes before every list
    patterns.insert(patterns.end() - static_cast<std::ptrdiff_t>(list_overrides_), {std::move(set), std::move(own)});
  }
}

void RuleLoader::greylist(const Node& node) {
  if (!context_.expect(node, Node::Kind::table, "greylist")) return;
  context_.check_keys(node, "greylist", "greylist");
  using std::chrono::hours;
  Greylisting g{.delay = std::chrono::minutes(5), .retry_within = hours(24), .remember = hours(36 * 24)};
  read_duration(context_, node, "delay", {1000, kDay, "\"1s\"", "\"1d\""}, g.delay);
  read_duration(context_, node, "retry_within", {60'000, 30 * kDay, "\"1m\"", "\"30d\""}, g.retry_within);
  read_duration(context_, node, "remember", {3'600'000, 366 * kDay, "\"1h\"", "\"366d\""}, g.remember);
  read_number(context_, node, "known_after", {1, 1000000, "1", "1000000"}, g.after);
  if (g.retry_within <= g.delay) {
    context_.error(Rg::greylist, node.region, "retry_within must be longer than delay",
                   "else no retry is ever in time: write for instance retry_within = \"1d\"");
  }
  if (const Entry* pools = node.find("pools")) each_item(pools->value, [&](const Node& item) { pool(item); });
  if (const Entry* limit = table_.find("limit")) {
    context_.error(Rg::greylist, limit->key_region, "a rule cannot have greylist and limit", "make two rules");
  }
  if (table_.find("reply") == nullptr) {
    context_.error(Rg::greylist, node.region, "greylisting answers with a reply", "write reply = \"greylisted\"");
  }
  rule_.greylist = g;
  rule_.limited = true;
}

// A pattern for the client's name, a network, or a list of networks.
void RuleLoader::pool(const Node& node) {
  if (!context_.expect(node, Node::Kind::string, "a pool")) return;
  const std::string& text = node.string;
  Pool pool{.name = "pool " + text, .names = {}, .networks = {}};
  const bool network = text.starts_with('$') || IpNetwork::parse(text);
  const auto matcher = patterns_.compile(network ? FactKind::ip : FactKind::domain, "a pool", node);
  if (!matcher) return;
  if (network) {
    pool.networks = std::get<std::shared_ptr<const NetworkSet>>(*matcher);
  } else {
    pool.names = std::get<std::shared_ptr<const TextSet>>(*matcher);
  }
  rule_.pools.push_back(std::move(pool));
}

void RuleLoader::escalate(const Node& node) {
  if (node.kind != Node::Kind::array) return escalation_step(node);
  std::ranges::for_each(node.items, [&](const Node& step) { escalation_step(step); });
}

void RuleLoader::escalation_step(const Node& node) {
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
  auto spec = replies_.compile(reply->value, rule_.stage);
  if (!limit || !spec) return;
  if (limit->unit != Unit::refusals || limit->scope != Scope::window || limit->most < 1) {
    context_.error(Rg::escalation, after->value.region, "a step begins after so many refusals in a time",
                   "write for instance after = \"10 refusals / 1h\"");
    return;
  }
  rule_.escalate.push_back({*limit, *std::move(spec)});
  step_replies_.push_back(&reply->value);
}

// Those that are counted at a stage; reports those that cannot be counted where the rule's facts put them.
Limits RuleLoader::limits_at(Stage stage, const Limits& limits, const Region& at) {
  Limits result;
  for (const Limit& limit : limits) {
    const Stage counted = stage_of(limit.unit);
    if (std::max(rule_.stage, counted) != stage) continue;
    result.push_back(limit);
    const bool movable = limit.unit == Unit::messages || counts_events(limit.unit) ||
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
