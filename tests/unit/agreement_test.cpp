// `replygate try` and the daemon agree: random transactions go through the milter dialogue, packet by packet, and
// through the player that try and test use, each with a store of its own and one clock for both.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

#include "milter/door/wire/dialogue.h"
#include "policy/scenario/player.h"
#include "tests/support/wire.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

constexpr std::string_view kPolicy = R"(
[site]
local_domains = ["local.example"]
trusted_networks = ["127.0.0.0/8"]
[keys]
timezone = "Europe/Vienna"
subaddress = "+"
[mailbox]
file = "quotas"
[lists]
blocked = ["@bad.example", "spammer@"]
[[rule]]
name = "closed"
when = { client_ip = "198.51.100.0/24" }
reply = 421
[[rule]]
name = "blocked"
when = { sender = "$blocked" }
reply = "access-denied"
[[rule]]
name = "friend"
when = { sender = "friend@ok.example" }
accept = true
[[rule]]
name = "no-open-relay"
unless = { recipient_domain = "$local_domains", client_ip = "$trusted_networks", authenticated = true }
reply = "relay-denied"
[[rule]]
name = "harvest"
per = "client_ip"
limit = "60 refusals / 1h"
reply = "rate-limited"
[[rule]]
name = "distinct"
when = { authenticated = true }
per = "user"
limit = "3 distinct_recipients / 1h"
reply = "quota-exceeded"
[[rule]]
name = "day"
when = { authenticated = true }
per = "user"
limit = ["60 recipients / day", "4 recipients / message"]
warn_at = "50%"
reply = "quota-exceeded"
[[rule]]
name = "bucket"
per = "client_net"
limit = "120 recipients / 1h"
burst = 6
reply = "rate-limited"
escalate = [{ after = "5 refusals / 1h", reply = 550 }]
[[rule]]
name = "grey"
unless = { client_ip = "$trusted_networks", authenticated = true }
per = ["client_net", "sender", "recipient"]
greylist = { delay = "5m", retry_within = "2h", remember = "1d", known_after = 20 }
reply = "greylisted"
[[rule]]
name = "shared"
when = { recipient_local = "box3" }
per = "sender"
share = "40%"
reply = 550
[[rule]]
name = "night"
when = { time = "01:00-03:00", recipient_local = "box1" }
hold = "at night"
[[rule]]
name = "loop"
when = { header.X-Loop = "yes" }
reply = 554
[[rule]]
name = "tag"
when = { header.Subject = "*offer*" }
header = { X-Tag = "{sender} {header_count}" }
[[rule]]
name = "duplicates"
per = ["sender", "digest"]
limit = "2 messages / 1h"
reply = "duplicate-flood"
[[rule]]
name = "drop"
when = { size = "> 3000 B", sender_domain = "c.example" }
discard = true
[[rule]]
name = "big"
when = { size = "> 2000 B" }
reply = "message-too-big"
[[rule]]
name = "volume"
per = "sender_domain"
limit = "20 KiB / 1h"
count = "attempts"
reply = "quota-exceeded"
)";

class SimulatedClock final : public Clock {
 public:
  Instant now() const override { return time; }
  Instant time{std::chrono::hours(490000)};
};

// Answers as the player says, without the references, which are no part of an answer.
struct Said {
  std::vector<std::string> replies;  // of each recipient
  std::string disposition;
  bool operator==(const Said&) const = default;
};

std::string text_of(const Disposition& d) {
  std::string text = fmt::format("{}/{}", d.discard, d.hold);
  for (const Header& h : d.headers) text += fmt::format("/{}: {}", h.name, h.value);
  return d.discard ? "true/" : text;
}

// The daemon's side of one session, as an MTA would hear it.
class Mta {
 public:
  explicit Mta(const DoorServices& services) : dialogue_(services, [] {}) {}

  Said play(const Given& g, const std::vector<std::string>& recipients) {
    Said said{.replies = std::vector<std::string>(recipients.size()), .disposition = "false/"};
    hear(negotiation(6, 0x1ff, 0));
    std::string whole = hear(macros_packet('C', {"{daemon_name}", g.listener}) +
                             connect_packet(g.client->text(), g.client_name, static_cast<std::uint16_t>(g.port)));
    if (whole == "c") whole = hear(helo_packet(g.helo));
    if (whole == "c") {
      const std::string mechanism = g.user.empty() ? "" : g.mechanism;
      whole = hear(macros_packet('M', {"i", "4TEST", "{auth_authen}", g.user, "{auth_type}", mechanism}) +
                   mail_packet(fmt::format("<{}>", g.from)));
    }
    bool kept = false;
    for (std::size_t i = 0; i < recipients.size() && whole == "c"; ++i) {
      const std::string reply = hear(rcpt_packet(fmt::format("<{}>", recipients[i])));
      if (reply != "c") said.replies[i] = reply;
      kept |= reply == "c";
    }
    if (whole == "c" && kept) whole = content(g, said);
    for (std::string& reply : said.replies) {
      if (reply.empty() && whole != "c") reply = whole;
    }
    hear(packet('A') + packet('Q'));
    return said;
  }

 private:
  std::string content(const Given& g, Said& said) {
    std::string reply = hear(packet('T'));
    for (const auto& [name, value] : g.headers) {
      if (reply == "c") reply = hear(header_packet(name, value));
    }
    if (reply == "c") reply = hear(packet('N'));
    if (reply == "c") reply = hear(packet('B', g.body));
    if (reply != "c") return reply;
    std::string out;
    take(packet('E'), out);
    Disposition d;
    for (const Heard& heard : packets_in(out)) {
      if (heard.command == 'h') {
        const std::size_t end = heard.data.find('\0');
        d.headers.push_back({heard.data.substr(0, end), heard.data.substr(end + 1, heard.data.size() - end - 2)});
      }
      if (heard.command == 'q') d.hold = heard.data.substr(0, heard.data.size() - 1);
      d.discard |= heard.command == 'd';
      if (heard.command == 'y') return heard.text();
    }
    said.disposition = text_of(d);
    return "c";
  }

  void take(std::string_view octets, std::string& out) {
    while (!octets.empty()) {
      const auto framed = wire::next_packet(octets, 1 << 20);
      dialogue_.take(framed.packet, out);
      octets.remove_prefix(framed.size);
    }
  }

  std::string hear(const std::string& octets) {
    std::string out;
    take(octets, out);
    const auto heard = packets_in(out);
    return heard.empty() ? "" : heard.back().text();
  }

  wire::Dialogue dialogue_;
};

class RandomMail {
 public:
  Given given() {
    Given g;
    const std::vector<std::string> clients = {"127.0.0.1", "203.0.113.5",  "203.0.113.9",
                                              "192.0.2.7", "198.51.100.1", "2001:db8::5"};
    g.client = IpAddress::parse(clients[pick(10) < 9 ? pick(4) : pick(6)]);
    g.client_name = pick(2) == 0 ? "unknown" : "mx.example.net";
    g.user = pick(3) == 0 ? fmt::format("user{}{}", pick(4), pick(5) == 0 ? "+tag" : "") : "";
    const std::vector<std::string> senders = {
        "a@a.example",       "B@A.example",   "c@c.example",       "d+x@d.example",
        "friend@ok.example", "x@bad.example", "spammer@e.example", "",
        "e@e.example"};
    g.from = senders[pick(senders.size())];
    if (pick(2) == 0) g.headers.emplace_back("Subject", pick(3) == 0 ? "an OFFER" : "hello");
    if (pick(20) == 0) g.headers.emplace_back("X-Loop", "yes");
    constexpr std::size_t kSizes[] = {0, 150, 1500, 2500, 3500};
    g.body = fmt::format("text {}\r\n{}", pick(3), std::string(kSizes[pick(10) == 0 ? pick(5) : pick(3)], 'x'));
    return g;
  }

  std::vector<std::string> recipients() {
    std::vector<std::string> all;
    for (std::size_t i = 1 + pick(4); i > 0; --i) {
      all.push_back(fmt::format("box{}@{}", pick(8), pick(3) == 0 ? "far.example" : "local.example"));
    }
    return all;
  }

  Duration pause() { return std::chrono::milliseconds(pick(50) == 0 ? pick(4000000) : pick(20000)); }
  std::size_t pick(std::size_t n) { return random_() % n; }

 private:
  std::mt19937 random_{20261122};
};

// "571 5.7.1 text" of a reply; the address that only one side knows is no part of it.
std::string text_of(const std::optional<Reply>& reply) { return reply ? reply->one_line() : ""; }

TEST(Agreement, TryAndTheDaemonSayTheSame) {
  const char* wanted = std::getenv("REPLYGATE_TRANSACTIONS");
  const int transactions = wanted == nullptr ? 100000 : std::atoi(wanted);
  World world(kPolicy);
  SimulatedClock clock;
  Traffic traffic;
  DecisionTimes times;
  const DoorServices services{world.policy, world.gate, world.records, world.references, clock, traffic, times};
  Player player(world.policy);
  RandomMail mail;
  std::map<std::string, int> seen;
  for (int i = 0; i < transactions; ++i) {
    const Given given = mail.given();
    const auto recipients = mail.recipients();
    clock.time += mail.pause();
    const Said daemon = Mta(services).play(given, recipients);
    const Played played = player.play(given, recipients, clock.time);
    Said tried{.replies = {}, .disposition = text_of(played.disposition)};
    for (const Delivered& d : played.recipients) {
      tried.replies.push_back(text_of(d.reply));
      ++seen[d.rule];
    }
    ASSERT_EQ(daemon, tried) << "transaction " << i << " from " << given.from << " of " << given.client->text();
    world.records.json.clear();
    world.records.logfmt.clear();
  }
  for (const std::string rule : {"closed", "blocked", "friend", "no-open-relay", "harvest", "distinct", "day", "bucket",
                                 "grey", "shared", "night", "loop", "duplicates", "drop", "big", "volume"}) {
    EXPECT_GT(seen[rule], 0) << rule << " has never answered";
  }
}

void PrintTo(const Said& said, std::ostream* out) {
  for (const std::string& reply : said.replies) *out << reply << " | ";
  *out << said.disposition;
}

}  // namespace
}  // namespace replygate::test
