#include "policy/load/tests.h"

#include <algorithm>
#include <limits>

#include "policy/load/given_outcomes.h"
#include "policy/load/items.h"
#include "policy/load/numbers.h"
#include "policy/load/quantities.h"
#include "policy/mail/quantity.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

constexpr std::int64_t kLongestPause = 31'622'400'000;  // milliseconds
constexpr auto kMostCounted = std::numeric_limits<std::int64_t>::max();
constexpr std::pair<std::string_view, Bounce> kBounces[] = {
    {"none", Bounce::none}, {"soft", Bounce::soft}, {"hard", Bounce::hard}};

class TestLoader {
 public:
  TestLoader(Context& context, const Node& table, const std::vector<LiveSourcePtr>& live)
      : context_(context), table_(table), live_(live) {}

  Scenario load() {
    context_.check_keys(table_, "test", "a test");
    scenario_.file = table_.region.file.get();
    scenario_.line = table_.region.line;
    if (table_.find("name") == nullptr) {
      context_.error(Rg::missing_key, table_.region, "a test needs a name", "its report names it");
    }
    text(table_, "name", scenario_.name);
    if (const Entry* e = table_.find("at")) time(e->value);
    if (const Entry* e = table_.find("given")) given(e->value);
    if (const Entry* e = table_.find("rcpt")) recipients(e->value);
    read_number(context_, table_, "repeat", {1, 100000, "1", "100000"}, scenario_.repeat);
    read_duration(context_, table_, "every", {1000, kLongestPause, "\"1s\"", "\"366d\""}, scenario_.every);
    if (const Entry* e = table_.find("outcome")) {
      scenario_.outcomes = read_outcomes(context_, e->value, scenario_.recipients.size());
    }
    expect();
    return std::move(scenario_);
  }

 private:
  void wrong(const Node& node, std::string message, std::string help) {
    context_.error(Rg::test_wrong, node.region, std::move(message), std::move(help));
  }

  void text(const Node& table, std::string_view key, std::string& target) {
    const Entry* e = table.find(key);
    if (e != nullptr && context_.expect(e->value, Node::Kind::string, key)) target = e->value.string;
  }

  void flag(const Node& table, std::string_view key, bool& target) {
    const Entry* e = table.find(key);
    if (e != nullptr && context_.expect(e->value, Node::Kind::boolean, key)) target = e->value.boolean;
  }

  void time(const Node& node) {
    if (!context_.expect(node, Node::Kind::string, "at")) return;
    if (const auto at = parse_time(node.string)) {
      scenario_.at = *at;
    } else {
      wrong(node, fmt::format("\"{}\" is not a time", node.string), "write for instance \"2026-11-22T09:00:00Z\"");
    }
  }

  void recipients(const Node& node) {
    const auto add = [&](const Node& item) {
      if (!context_.expect(item, Node::Kind::string, "rcpt")) return;
      const auto addresses = expand_ranges(item.string);
      if (!addresses) {
        wrong(item, fmt::format("\"{}\" is not a range of addresses", item.string),
              "write for instance \"r{1..101}@example.org\", 100000 at most");
        return;
      }
      scenario_.recipients.insert(scenario_.recipients.end(), addresses->begin(), addresses->end());
    };
    each_item(node, add);
  }

  void given(const Node& node) {
    if (!context_.expect(node, Node::Kind::table, "given")) return;
    context_.check_keys(node, "given", "given");
    Given& g = scenario_.given;
    for (auto [key, target] :
         std::initializer_list<std::pair<std::string_view, std::string*>>{{"client_name", &g.client_name},
                                                                          {"listener", &g.listener},
                                                                          {"helo", &g.helo},
                                                                          {"user", &g.user},
                                                                          {"mechanism", &g.mechanism},
                                                                          {"from", &g.from},
                                                                          {"tls_cipher", &g.tls.cipher},
                                                                          {"tls_subject", &g.tls.subject},
                                                                          {"tls_issuer", &g.tls.issuer},
                                                                          {"body", &g.body}}) {
      text(node, key, *target);
    }
    read_number(context_, node, "port", {0, 65535, "0", "65535"}, g.port);
    read_number(context_, node, "tls_bits", {0, 100000, "0", "100000"}, g.tls.bits);
    read_size(context_, node, "size", {0, std::int64_t{1} << 30, "\"0 B\"", "\"1 GiB\""}, g.size);
    flag(node, "mta_refused", g.mta_refused);
    flag(node, "recipient_dead", g.recipient_dead);
    flag(node, "local_submission", g.local_submission);
    if (const Entry* e = node.find("client")) {
      client(e->value);
    } else if (g.local_submission) {
      g.client = IpAddress::parse("127.0.0.1");  // as MTAs say it
      if (node.find("client_name") == nullptr) g.client_name = "localhost";
    }
    if (const Entry* e = node.find("tls")) tls(e->value);
    if (const Entry* e = node.find("header")) headers(e->value, g.headers);
    if (const Entry* e = node.find("parameters")) parameters(e->value);
    if (const Entry* e = node.find("mailbox_used")) mailbox(e->value);
    if (const Entry* e = node.find("lookup")) lookups(e->value);
    if (node.find("route") != nullptr) text(node, "route", g.route.emplace());
  }

  void lookups(const Node& node) {
    if (!context_.expect(node, Node::Kind::table, "lookup")) return;
    for (const Entry& e : node.entries) {
      const bool known = std::ranges::any_of(live_, [&](const LiveSourcePtr& source) { return source->name == e.key; });
      if (known) {
        lookup(e.value, scenario_.given.lookups[e.key]);
        continue;
      }
      wrong_key(e);
    }
  }

  void wrong_key(const Entry& e) {
    std::vector<std::string_view> names;
    for (const LiveSourcePtr& source : live_) names.push_back(source->name);
    context_.error(Rg::test_wrong, e.key_region, fmt::format("no source that rules ask is called \"{}\"", e.key),
                   names.empty() ? "" : suggestion(e.key, names, "they ask"));
  }

  // ["key"] of a list, { key = "value" } of others, "unknown" of one that does not answer.
  void lookup(const Node& node, std::optional<std::map<std::string, std::string>>& told) {
    if (node.kind == Node::Kind::string && node.string == "unknown") return;
    told.emplace();
    if (node.kind == Node::Kind::array) {
      for (const Node& item : node.items) {
        if (context_.expect(item, Node::Kind::string, "a key")) told->emplace(folded(item.string), "listed");
      }
    } else if (node.kind == Node::Kind::table) {
      for (const Entry& e : node.entries) {
        if (context_.expect(e.value, Node::Kind::string, e.key)) told->emplace(folded(e.key), e.value.string);
      }
    } else {
      wrong(node, "what a source knows is an array, a table, or \"unknown\"",
            "write for instance { \"key\" = \"value\" }");
    }
  }

  void client(const Node& node) {
    if (!context_.expect(node, Node::Kind::string, "client")) return;
    scenario_.given.client = IpAddress::parse(node.string);
    if (!scenario_.given.client && !node.string.empty()) {
      context_.error(Rg::network, node.region, fmt::format("\"{}\" is not an address", node.string),
                     "write for instance \"192.0.2.10\"; \"\" is a client without address");
    }
  }

  void tls(const Node& node) {
    if (node.kind == Node::Kind::boolean) {
      scenario_.given.tls.version = node.boolean ? "TLSv1.3" : "";
    } else if (context_.expect(node, Node::Kind::string, "tls")) {
      scenario_.given.tls.version = node.string;
    }
  }

  void headers(const Node& node, std::vector<std::pair<std::string, std::string>>& target) {
    if (!context_.expect(node, Node::Kind::table, "header")) return;
    for (const Entry& e : node.entries) {
      const auto add = [&](const Node& value) {
        if (context_.expect(value, Node::Kind::string, e.key)) target.emplace_back(e.key, value.string);
      };
      each_item(e.value, add);
    }
  }

  void parameters(const Node& node) {
    if (!context_.expect(node, Node::Kind::array, "parameters")) return;
    for (const Node& item : node.items) {
      if (context_.expect(item, Node::Kind::string, "a parameter")) scenario_.given.parameters.push_back(item.string);
    }
  }

  void mailbox(const Node& node) {
    if (!context_.expect(node, Node::Kind::string, "mailbox_used")) return;
    const auto share = parse_share(node.string);
    if (share) {
      scenario_.given.mailbox_used = *share / 100;
    } else {
      wrong(node, fmt::format("\"{}\" is not a share", node.string), "write for instance \"100%\"");
    }
  }

  void expect() {
    const Entry* e = table_.find("expect");
    if (e == nullptr) {
      context_.error(Rg::missing_key, table_.region, "a test needs expect",
                     "write for instance expect = { accepted = 1 }");
      return;
    }
    if (!context_.expect(e->value, Node::Kind::table, "expect")) return;
    context_.check_keys(e->value, "expect", "expect");
    Expected& expected = scenario_.expected;
    expected.each = reply(e->value);
    for (auto [key, target] : std::initializer_list<std::pair<std::string_view, ExpectedReply*>>{
             {"first", &expected.first}, {"last", &expected.last}}) {
      const Entry* one = e->value.find(key);
      if (one == nullptr || !context_.expect(one->value, Node::Kind::table, key)) continue;
      context_.check_keys(one->value, "expect_one", key);
      *target = reply(one->value);
    }
    count(e->value, "accepted", expected.accepted);
    count(e->value, "refused", expected.refused);
    if (e->value.find("discarded") != nullptr) flag(e->value, "discarded", expected.discarded.emplace());
    if (e->value.find("held") != nullptr) text(e->value, "held", expected.held.emplace());
    if (const Entry* header = e->value.find("header")) headers(header->value, expected.headers);
  }

  void count(const Node& table, std::string_view key, std::optional<std::int64_t>& target) {
    if (table.find(key) == nullptr) return;
    read_number(context_, table, key, {0, kMostCounted, "0", "the number of recipients"}, target.emplace());
  }

  ExpectedReply reply(const Node& table) {
    ExpectedReply expected;
    if (table.find("code") != nullptr) {
      std::int64_t code = 0;
      read_number(context_, table, "code", {200, 599, "200", "one below 600"}, code);
      expected.code = static_cast<int>(code);
    }
    text(table, "enhanced", expected.enhanced);
    text(table, "class", expected.classification);
    text(table, "rule", expected.rule);
    text(table, "text", expected.text);
    if (const Entry* e = table.find("bounce")) expected.bounce = choice(context_, e->value, "bounce", kBounces);
    return expected;
  }

  Context& context_;
  const Node& table_;
  const std::vector<LiveSourcePtr>& live_;
  Scenario scenario_;
};

}  // namespace

std::vector<Scenario> load_tests(Context& context, const std::vector<const Node*>& tables,
                                 const std::vector<LiveSourcePtr>& live) {
  std::vector<Scenario> tests;
  for (const Node* table : tables) {
    if (context.expect(*table, Node::Kind::table, "a test")) tests.push_back(TestLoader(context, *table, live).load());
  }
  return tests;
}

}  // namespace replygate
