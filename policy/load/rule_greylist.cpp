#include "policy/load/meant.h"
#include "policy/load/quantities.h"
#include "policy/load/rule_counting.h"
#include "policy/mail/ip.h"

namespace replygate {
namespace {

constexpr std::int64_t kMillisecondsADay = 86'400'000;

}  // namespace

void RuleCounting::greylist(const Node& node) {
  if (node.kind != Node::Kind::table) {
    const std::string delay = node.kind == Node::Kind::string ? meant_duration(node.string) : "";
    context_.error(Rg::wrong_type, node.region, fmt::format("greylist is a table, not {}", describe(node.kind)),
                   fmt::format("write greylist = {{ delay = \"{}\" }}", delay.empty() ? "5m" : delay));
    return;
  }
  context_.check_keys(node, "greylist", "greylist");
  using std::chrono::hours;
  Greylisting g{.delay = std::chrono::minutes(5), .retry_within = hours(24), .remember = hours(36 * 24)};
  read_duration(context_, node, "delay", {1000, kMillisecondsADay, "\"1s\"", "\"1d\""}, g.delay);
  read_duration(context_, node, "retry_within", {60'000, 30 * kMillisecondsADay, "\"1m\"", "\"30d\""}, g.retry_within);
  read_duration(context_, node, "remember", {3'600'000, 366 * kMillisecondsADay, "\"1h\"", "\"366d\""}, g.remember);
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
void RuleCounting::pool(const Node& node) {
  if (!context_.expect(node, Node::Kind::string, "a pool")) return;
  const std::string& text = node.string;
  Pool pool{.name = "pool " + text, .names = {}, .networks = {}};
  const bool network = text.starts_with('$') || IpNetwork::parse(text);
  const auto matcher = patterns_.compile(subject_of(network ? FactKind::ip : FactKind::domain), "a pool", node);
  if (!matcher) return;
  if (network) {
    pool.networks = std::get<std::shared_ptr<const NetworkSet>>(*matcher);
  } else {
    pool.names = std::get<std::shared_ptr<const TextSet>>(*matcher);
  }
  rule_.pools.push_back(std::move(pool));
}

}  // namespace replygate
