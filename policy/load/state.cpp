#include "policy/load/state.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "policy/decide/inquiry.h"
#include "policy/load/items.h"
#include "policy/load/mail_address.h"
#include "policy/load/numbers.h"
#include "policy/load/quantities.h"
#include "policy/load/rule_limits.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostMembers = 5000;
constexpr std::int64_t kMostOutcomes = 100'000;
constexpr std::int64_t kMostUsed = std::int64_t{1} << 50;

class StateLoader {
 public:
  StateLoader(Context& context, const Policy& policy, Instant now) : context_(context), policy_(policy), now_(now) {}

  void add(const Node& table) {
    if (!context_.expect(table, Node::Kind::table, "a counter")) return;
    context_.check_keys(table, "counter", "a counter");
    for (const std::string_view key : {"rule", "limit", "used"}) {
      if (table.find(key) == nullptr) {
        context_.error(Rg::missing_key, table.region, fmt::format("a counter needs {}", key),
                       "it names rule, limit, key and used");
        return;
      }
    }
    const Rule* rule = rule_of(table.find("rule")->value);
    auto limit = parse_limit(context_, table.find("limit")->value);
    const bool outcomes = limit && counts_outcomes(limit->unit);
    std::int64_t used = 0;
    read_number(context_, table, "used",
                outcomes ? Range{0, kMostOutcomes, "0", "100000"} : Range{0, kMostUsed, "0", "2^50"}, used);
    if (rule == nullptr || !limit) return;
    limit->burst = burst_of(*rule, *limit);
    if (outcomes && !is_counted(rule->name, *limit, table.find("limit")->value)) return;
    const Key key = key_of(*rule, table.find("key"));
    count(*rule, *limit, key, used);
    whole(table, *rule, *limit, key);
  }

  void bury(const Node& node) {
    each_item(node, [&](const Node& item) {
      std::string address;
      read_mail_address(context_, item, "dead", address);
      if (!address.empty()) dead_.push_back(std::move(address));
    });
  }

  std::vector<Charge> take() { return std::move(charges_); }
  std::vector<std::string> dead() { return std::move(dead_); }

 private:
  const Rule* rule_of(const Node& node) {
    if (!context_.expect(node, Node::Kind::string, "rule")) return nullptr;
    const auto it = std::ranges::find(policy_.rules(), node.string, &Rule::name);
    if (it != policy_.rules().end()) return &*it;
    std::vector<std::string_view> names;
    for (const Rule& rule : policy_.rules()) names.push_back(rule.name);
    context_.error(Rg::not_a_choice, node.region, fmt::format("the policy has no rule \"{}\"", node.string),
                   suggestion(node.string, names, "it has"));
    return nullptr;
  }

  // Outcomes that no limit compares would change nothing, which a user may not notice.
  bool is_counted(const std::string& rule, const Limit& wanted, const Node& node) {
    std::vector<std::string> has;
    bool counted = false;
    const auto look = [&](const Limits& limits) {
      for (const Limit& limit : limits) {
        if (counts_outcomes(limit.unit)) has.push_back(fmt::format("\"{}\"", limit.text()));
        counted |= limit.unit == wanted.unit && limit.period_text() == wanted.period_text();
      }
    };
    for (const Rule& part : policy_.rules()) {
      if (part.name != rule) continue;
      counted |= part.overrides.live.source != nullptr;
      each_limit(part, look);
    }
    if (counted) return true;
    context_.error(
        Rg::not_a_choice, node.region,
        fmt::format("the rule \"{}\" has no limit in {} / {}", rule, to_string(wanted.unit), wanted.period_text()),
        has.empty() ? "it has no limit of outcomes" : fmt::format("it has {}", fmt::join(has, ", ")));
    return false;
  }

  // The depth that the rule's own limit of that unit and period has.
  static std::int64_t burst_of(const Rule& rule, const Limit& wanted) {
    const auto same = [&](const Limit& l) { return l.unit == wanted.unit && l.period_text() == wanted.period_text(); };
    const auto it = std::ranges::find_if(rule.limits, same);
    return it == rule.limits.end() ? 0 : it->burst;
  }

  Key key_of(const Rule& rule, const Entry* entry) {
    if (entry == nullptr || !context_.expect(entry->value, Node::Kind::string, "key")) return {};
    if (auto key = key_from_text(rule, entry->value.string, policy_.site())) return *std::move(key);
    context_.error(Rg::override_key, entry->value.region,
                   fmt::format("\"{}\" is not a key of the rule \"{}\"", entry->value.string, rule.name),
                   rule.per.size() == 1 ? "its keys have one part"
                                        : fmt::format("its keys have {} parts, joined by '|'", rule.per.size()));
    return {};
  }

  void count(const Rule& rule, const Limit& limit, const Key& key, std::int64_t used) {
    if (!limit.in_store() || used == 0) return;
    const Connection nobody;
    Ask ask = ask_for(rule, limit, key, facts_of(nobody));
    const bool members = limit.unit == Unit::distinct_recipients || counts_outcomes(limit.unit);
    ask.cost = members ? 1 : used;
    const std::int64_t most = counts_outcomes(limit.unit) ? kMostOutcomes : kMostMembers;
    for (std::int64_t i = 0; i < (members ? std::min(used, most) : 1); ++i) {
      if (members) ask.member = fmt::format("counted before {}", i);
      charge(ask);
      if (counts_outcomes(limit.unit)) charges_.back().most = kMostOutcomes;
    }
  }

  // Of how many recipients; without it there is no share.
  void whole(const Node& table, const Rule& rule, const Limit& limit, const Key& key) {
    const Entry* e = table.find("of");
    if (e == nullptr && limit.share == 0) return;
    if (e == nullptr) {
      context_.error(Rg::missing_key, table.region, "a share of how many recipients?",
                     "add for instance of = 60, the recipients of the same time");
      return;
    }
    if (limit.share == 0) {
      context_.error(Rg::share_limit, e->key_region, fmt::format("\"{}\" is no share", limit.text()),
                     "write for instance limit = \"10% hard_bounces / 1h\", or leave `of` away");
      return;
    }
    std::int64_t of = 0;
    read_number(context_, table, "of", {0, kMostUsed, "0", "2^50"}, of);
    if (of > 0) count_whole(rule, limit, key, of);
  }

  // The recipients of which the limit is a share.
  void count_whole(const Rule& rule, const Limit& share, const Key& key, std::int64_t of) {
    const Connection nobody;
    Ask ask;
    fill_whole(ask, rule, share, key, facts_of(nobody));
    ask.cost = of;
    charge(ask);
  }

  Facts facts_of(const Connection& nobody) const {
    return {.connection = nobody, .now = now_, .zone = &policy_.site().zone};
  }

  void charge(const Ask& ask) {
    charges_.push_back(charge_of(ask, 0, true, false));
    charges_.back().warn_at = 0;
  }

  Context& context_;
  const Policy& policy_;
  Instant now_;
  std::vector<Charge> charges_;
  std::vector<std::string> dead_;
};

}  // namespace

SeededState seed_state(const std::string& path, const ReadSource& read, const Policy& policy, Instant now,
                       Store& store) {
  Context context(path, read);
  std::string why;
  StateLoader loader(context, policy, now);
  const std::string* text = context.read({DataSource::Kind::file, path, ""}, why);
  if (text == nullptr) {
    context.error(Rg::unreadable_file, {.file = path}, fmt::format("{}: {}", path, why));
  } else {
    auto document = parse_document(*text, path);
    if (const auto* mistake = std::get_if<Diagnostic>(&document)) {
      context.error(mistake->code, mistake->primary.region, mistake->message,
                    "a state is TOML with tables [[counter]] of rule, limit, key and used, and dead = [\"address\"]");
    } else {
      const Node& root = std::get<Node>(document);
      context.check_keys(root, "state", "a state");
      if (const Entry* dead = root.find("dead")) loader.bury(dead->value);
      const Entry* counters = root.find("counter");
      if (counters != nullptr && context.expect(counters->value, Node::Kind::array, "counter")) {
        for (const Node& table : counters->value.items) loader.add(table);
      }
    }
  }
  const bool failed = context.failed();
  Loaded result = context.finish(nullptr);
  if (!failed) store.take(loader.take(), false, now, [](const Readings&) {});
  return {loader.dead(), std::move(result.diagnostics), std::move(result.sources)};
}

}  // namespace replygate
