#include "tests/oracle/made_counts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

namespace replygate::oracle::counts {
namespace {

constexpr std::int64_t kMinute = 60;
constexpr std::int64_t kHour = 60 * kMinute;
constexpr std::int64_t kDay = 24 * kHour;

struct Time {
  std::int64_t seconds;
  const char* text;
};
constexpr std::array kTimes = {Time{7, "7s"},       Time{30, "30s"},
                               Time{kMinute, "1m"}, Time{10 * kMinute, "10m"},
                               Time{kHour, "1h"},   Time{kHour + 30 * kMinute, "1h30m"},
                               Time{kDay, "1d"},    Time{7 * kDay, "1w"}};
constexpr std::array kClients = {"192.0.2.1", "192.0.2.1", "192.0.2.2", "198.51.100.7"};
constexpr std::array kGreetings = {"a.example", "a.example", "b.example"};
constexpr std::array kSenders = {"s1@x.example", "s1@x.example", "s2@y.example", ""};
constexpr std::array kUsers = {"alice", "alice", "bob", ""};
constexpr std::array kRecipients = {"r1@ours.example", "r1@ours.example", "r2@ours.example",        "r3@far.example",
                                    "r5@ours.example", "postmaster",      "postmaster@ours.example"};
constexpr std::array kRecipientKeys = {"r1@ours.example", "r2@ours.example", "r3@far.example"};
constexpr std::array kDomains = {"ours.example", "far.example"};

class Maker {
 public:
  explicit Maker(Random& random) : random_(random) {}

  bool chance(unsigned percent) { return random_() % 100 < percent; }
  std::int64_t number(std::int64_t least, std::int64_t most) {
    return least + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(most - least + 1));
  }
  template <typename List>
  auto one_of(const List& list) {
    return list[random_() % std::size(list)];
  }

  std::string value_of(Part part) {
    switch (part) {
      case Part::client_ip: return one_of(kClients);
      case Part::client_net: return net_of(one_of(kClients));
      case Part::helo: return one_of(kGreetings);
      case Part::sender: return one_of(std::array{"s1@x.example", "s2@y.example"});
      case Part::user: return one_of(std::array{"alice", "bob"});
      case Part::recipient: return one_of(kRecipientKeys);
      case Part::recipient_domain: return one_of(kDomains);
    }
    return "";
  }

  Part part_up_to(Point point) {
    constexpr std::array parts = {Part::client_ip, Part::client_net,      Part::helo, Part::sender, Part::user,
                                  Part::recipient, Part::recipient_domain};
    constexpr std::array known = {2, 3, 5, 7, 5, 5};  // behind rcpt nothing of one recipient
    return parts[random_() % static_cast<unsigned>(known[static_cast<std::size_t>(point)])];
  }

  Cap cap(What what) {
    Cap cap{.what = what, .most = number(chance(4) ? 0 : 1, 3)};
    if (what == What::bytes) cap.most = number(1, 6) * 1000;
    const std::int64_t over = number(0, 9);
    const bool in_message = what == What::recipients || what == What::distinct || what == What::bytes;
    const bool in_session =
        what == What::messages || what == What::recipients || what == What::bytes || what == What::refusals;
    if (over == 0 && in_message) return with(cap, Over::message, "message");
    if (over == 1 && in_session) return with(cap, Over::session, "session");
    if (over <= 3 && what != What::distinct) {
      const std::int64_t which = number(0, 2);
      return with(cap, static_cast<Over>(static_cast<int>(Over::day) + which),
                  std::array{"day", "week", "month"}[static_cast<std::size_t>(which)]);
    }
    return timed(cap);
  }

  Cap timed(Cap cap) {
    const Time time = one_of(kTimes);
    cap.seconds = time.seconds;
    return with(cap, Over::time, time.text);
  }

  Rule rule(const std::string& name) {
    Rule rule{.name = name};
    if (chance(25)) {
      plain(rule);
    } else if (chance(20)) {
      greylisted(rule);
    } else {
      limited(rule);
    }
    rule.observe = chance(12);
    if (!rule.accept && !rule.per.empty() && rule.escalate.empty() && chance(30)) escalate(rule);
    return rule;
  }

 private:
  static Cap with(Cap cap, Over over, const char* period) {
    cap.over = over;
    cap.period = period;
    return cap;
  }

  void conditions(Rule& rule, Point point) {
    while (chance(30)) {
      const Part part = part_up_to(point);
      rule.when[part] = value_of(part);
    }
  }

  void plain(Rule& rule) {
    const auto point = static_cast<Point>(number(0, 3));
    conditions(rule, point);
    if (rule.when.empty()) rule.when[Part::recipient] = value_of(Part::recipient);
    rule.accept = chance(20);
    rule.code = one_of(std::array{450, 451, 550, 554, 421});
    if (chance(30) && !rule.accept) rule.per = {part_up_to(Point::mail)};
    if (!rule.per.empty()) escalate(rule);
    if (rule.escalate.empty()) rule.per.clear();  // it would mean nothing
  }

  void greylisted(Rule& rule) {
    Point point = Point::rcpt;
    if (chance(40)) {
      rule.at = point = static_cast<Point>(number(0, 5));
    }
    conditions(rule, point);
    while (rule.per.empty() || (chance(50) && rule.per.size() < 3)) {
      const Part part = part_up_to(point);
      if (std::ranges::find(rule.per, part) == rule.per.end()) rule.per.push_back(part);
    }
    Grey& grey = rule.grey.emplace();
    const auto span = [&](std::size_t from, std::size_t to, Wait& target) {
      const Time time = kTimes[from + random_() % (to - from)];
      if (chance(85)) target = {time.seconds, time.text};
    };
    span(0, 4, grey.delay);
    span(4, 7, grey.retry_within);
    span(4, 8, grey.remember);
    if (chance(40)) grey.known_after = number(1, 2);
    grey.pool = chance(30);
    rule.code = one_of(std::array{450, 450, 451, 550, 421});
  }

  void limited(Rule& rule) {
    constexpr std::array units = {What::connections, What::messages, What::messages, What::recipients, What::recipients,
                                  What::distinct,    What::bytes,    What::refusals, What::refusals,   What::unknown};
    const What first = one_of(units);
    Point point = first == What::connections ? Point::helo : first == What::bytes ? Point::data : Point::rcpt;
    if (first == What::refusals || first == What::unknown) {
      point = static_cast<Point>(number(0, 3));
      rule.at = point;
    } else if (first == What::recipients && chance(25)) {
      rule.at = chance(50) ? Point::data : Point::message;
      point = *rule.at;
    } else if (first == What::messages && chance(50)) {
      point = Point::mail;
    }
    conditions(rule, point);
    while (chance(70) && rule.per.size() < 2) {
      const Part part = part_up_to(point);
      if (std::ranges::find(rule.per, part) == rule.per.end()) rule.per.push_back(part);
    }
    add(rule.caps, cap(first));
    if (chance(15) && first != What::bytes && first != What::distinct) {
      rule.caps = {timed({.what = first, .most = number(1, 4)})};
      rule.caps.front().burst = number(1, 5);
    } else {
      more(rule, first, point);
    }
    rule.attempts = chance(20);
    rule.accept = chance(20);
    rule.code = one_of(std::array{450, 451, 452, 550, 421});
    if (!rule.per.empty() && rule.caps.front().burst == 0 && chance(40)) overrides(rule, first);
  }

  // Others beside it, which are compared at the same point or later.
  void more(Rule& rule, What first, Point point) {
    while (chance(35)) add(rule.caps, cap(first));
    if (rule.at || first == What::connections || point != Point::mail) return;
    if (chance(30)) add(rule.caps, cap(What::recipients));
    if (chance(20)) add(rule.caps, cap(What::bytes));
  }

  static void add(std::vector<Cap>& caps, const Cap& cap) {
    const bool twice =
        std::ranges::any_of(caps, [&](const Cap& c) { return c.what == cap.what && c.period == cap.period; });
    if (!twice) caps.push_back(cap);
  }

  void overrides(Rule& rule, What first) {
    for (std::int64_t i = number(1, 2); i > 0; --i) {
      std::string key;
      for (const Part part : rule.per) key += (key.empty() ? "" : "|") + value_of(part);
      Own& own = rule.own[key];
      own = {};
      if (chance(20)) {
        own.all = true;
        continue;
      }
      if (chance(25)) own.exempt.push_back(first);
      if (own.exempt.empty() || chance(50)) add(own.caps, cap(first));
    }
  }

  void escalate(Rule& rule) {
    std::int64_t most = 0;
    for (std::int64_t steps = number(1, 2); steps > 0; --steps) {
      most += number(1, 3);
      Step step{.after = timed({.what = What::refusals, .most = most}), .code = 550};
      if (steps == 1) step.code = one_of(std::array{421, 554});
      rule.escalate.push_back(step);
    }
  }

  Random& random_;
};

std::int64_t wait_of(Maker& maker) {
  if (maker.chance(75)) return 0;
  if (maker.chance(50)) return maker.number(0, 40 * kSecond);
  if (maker.chance(50)) return maker.number(0, 20 * kMinute * kSecond);
  if (maker.chance(60)) return maker.number(0, 3 * kHour * kSecond);
  return maker.number(0, (maker.chance(80) ? 2 : 12) * kDay * kSecond);
}

}  // namespace

Policy make_policy(Random& random, const std::string& prefix) {
  Maker maker(random);
  Policy policy{.berlin = maker.chance(50), .rules = {}};
  const std::int64_t rules = maker.number(1, 5);
  for (std::int64_t i = 0; i < rules; ++i) policy.rules.push_back(maker.rule(fmt::format("{}-{}", prefix, i)));
  return policy;
}

Act make_act(Random& random, const Model& model, bool waits) {
  using Kind = Act::Kind;
  Maker maker(random);
  constexpr std::array kinds = {Kind::connect, Kind::helo, Kind::mail,   Kind::mail,   Kind::mail,   Kind::rcpt,
                                Kind::rcpt,    Kind::rcpt, Kind::rcpt,   Kind::rcpt,   Kind::rcpt,   Kind::rcpt,
                                Kind::rcpt,    Kind::rcpt, Kind::finish, Kind::finish, Kind::finish, Kind::finish,
                                Kind::finish,  Kind::helo, Kind::reset,  Kind::quit,   Kind::lose};
  for (;;) {
    Act act{.kind = maker.one_of(kinds), .session = static_cast<int>(maker.number(0, 2)), .text = {}, .user = {}};
    if (!model.may(act)) continue;
    act.wait = waits ? wait_of(maker) : 0;
    if (act.kind == Kind::connect) act.text = maker.one_of(kClients);
    if (act.kind == Kind::helo) act.text = maker.one_of(kGreetings);
    if (act.kind == Kind::mail) {
      act.text = maker.one_of(kSenders);
      act.user = maker.one_of(kUsers);
    }
    if (act.kind == Kind::rcpt) {
      act.text = maker.one_of(kRecipients);
      act.mta_refused = maker.chance(12);
    }
    if (act.kind == Kind::finish) act.octets = maker.number(0, 4000);
    return act;
  }
}

}  // namespace replygate::oracle::counts
