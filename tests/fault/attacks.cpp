#include <sys/socket.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>

#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"

namespace replygate::test {
namespace {

constexpr std::string_view kRules = R"(
[[rule]]
name = "bad-sender"
when = { sender = "bad@x.example" }
reply = 554
[[rule]]
name = "allowed"
when = { recipient = "r500@x.example" }
accept = true
[[rule]]
name = "closed"
when = { recipient = "r*@x.example" }
reply = 550
[[rule]]
name = "quota"
per = "sender"
limit = "3 recipients / 1h"
reply = "quota-exceeded"
[[rule]]
name = "big"
when = { size = "> 1 MB" }
reply = "message-too-big"
)";

constexpr std::string_view kOrder = "451 4.3.0 Local error in processing, try again later";
constexpr int kPacketsEach = 20;

std::string some_packet(std::mt19937_64& random) {
  switch (random() % 14) {
    case 0: return negotiation(static_cast<std::uint32_t>(random() % 9));
    case 1: return connect_packet(random() % 2 == 0 ? "192.0.2.1" : "2001:db8::1");
    case 2: return helo_packet();
    case 3:
    case 4: return mail_packet("<a@x.example>", {"SIZE=100"});
    case 5:
    case 6: return rcpt_packet("<b@x.example>");
    case 7: return packet('T');
    case 8: return header_packet("Subject", " x");
    case 9: return packet('N');
    case 10: return packet('B', std::string(random() % 500, 'x'));
    case 11: return packet('E');
    case 12: return packet(random() % 2 == 0 ? 'A' : 'K');
    default: return macros_packet('M', {"i", "Q1", "{auth_authen}", "carol"});
  }
}

void mutate(std::string& octets, std::mt19937_64& random) {
  const auto at = [&] { return random() % octets.size(); };
  switch (random() % 5) {
    case 0: octets[at()] = static_cast<char>(random()); break;
    case 1: octets[at()] ^= static_cast<char>(1U << random() % 8); break;
    case 2: octets.resize(at() + 1); break;
    case 3: octets.insert(at(), 1, static_cast<char>(random())); break;
    default: octets[3] = static_cast<char>(random()); break;
  }
}

// A whole connection of nonsense; reads until it is closed.
void attack(const std::string& address, std::mt19937_64& random) {
  WireClient mta(address);
  std::string octets;
  if (random() % 4 != 0) octets += negotiation(6, 0x1ff, 0) + connect_packet("192.0.2.1");
  for (int i = 0; i < kPacketsEach; ++i) {
    std::string next = some_packet(random);
    if (random() % 3 == 0) mutate(next, random);
    octets += next;
  }
  mta.send(octets);
  ::shutdown(mta.descriptor(), SHUT_WR);
  while (mta.read().command != 0) {
  }
}

// What a peer must be told however others behave.
long wrong_answers(WireClient& mta, int round) {
  long wrong = 0;
  const auto expect = [&](const std::string& event, std::string_view text) {
    wrong += static_cast<long>(mta.ask(event).text().substr(0, text.size()) != text);
  };
  expect(mail_packet("<bad@x.example>"), "554 ");
  expect(mail_packet(fmt::format("<s{}@y.example>", round)), "c");
  for (int i = 0; i < 3; ++i) expect(rcpt_packet("<c@x.example>"), "c");
  expect(rcpt_packet("<c@x.example>"), "452 ");
  expect(rcpt_packet("<r1@x.example>"), "550 ");
  expect(packet('E'), "c");
  return wrong;
}

}  // namespace

void mutated_packets(const GoalOptions& options, Report& report) {
  const long packets = options.full ? 1000000 : 100000;
  constexpr int kThreads = 4;
  auto daemon =
      std::make_unique<Daemon>(Daemon::Options{.binary = options.binary, .milter = "", .rules = std::string(kRules)});
  std::atomic<long> left = packets / kPacketsEach;
  std::vector<std::thread> threads;
  for (unsigned thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      std::mt19937_64 random(thread);
      while (left-- > 0) attack(daemon->address(), random);
    });
  }
  auto healthy = open_session(daemon->address());
  long wrong = 0;
  int rounds = 0;
  for (; left > 0; ++rounds) wrong += wrong_answers(healthy, rounds);
  for (std::thread& thread : threads) thread.join();
  const std::string id = "G20";
  report.exactly(id, fmt::format("deaths under {} mutated packets", packets), static_cast<long>(!daemon->alive()), 0);
  report.exactly(id, fmt::format("wrong answers in {} dialogues of a healthy peer", rounds), wrong, 0);
  healthy.send(packet('Q'));
  daemon->terminate();
  const std::string messages = daemon->messages();
  report.exactly(id, "exit status", daemon->wait(), 0);
  const bool reported =
      messages.find("Sanitizer") != std::string::npos || messages.find("runtime error") != std::string::npos;
  report.exactly(id, "reports of sanitizers", static_cast<long>(reported), 0);
}

void soak(const GoalOptions& options, Report& report) {
  const long connections = options.full ? 1000000 : 60000;
  constexpr int kThreads = 4;
  Daemon daemon({.binary = options.binary, .milter = "", .rules = std::string(kRules)});
  const std::vector<std::string> events = {negotiation(6, 0x1ff, 0),
                                           connect_packet("192.0.2.1"),
                                           helo_packet(),
                                           mail_packet("<a@x.example>"),
                                           rcpt_packet("<b@x.example>"),
                                           packet('T'),
                                           header_packet("a", " b"),
                                           packet('N'),
                                           packet('B', "x"),
                                           packet('E')};
  const auto play = [&](long count) {
    std::atomic<long> left = count;
    std::vector<std::thread> threads;
    for (unsigned thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        std::mt19937_64 random(thread);
        while (left-- > 0) {
          WireClient mta(daemon.address());
          const auto stop = random() % (events.size() + 1);
          for (std::size_t i = 0; i < stop; ++i) mta.ask(events[i]);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  };
  const int descriptors = daemon.descriptors();
  play(connections / 5);
  const double memory = daemon.resident_mib();
  const auto start = now();
  play(connections);
  const double rate = static_cast<double>(connections) / seconds_since(start);
  const auto settled = now();
  while (daemon.descriptors() != descriptors && seconds_since(settled) < 10) {
  }
  const double slope = (daemon.resident_mib() - memory) * 1e6 / static_cast<double>(connections);
  report.measured("G29", fmt::format("memory per 10^6 of {} connections, {:.0f}/s", connections, rate), slope, 1,
                  "MiB");
  report.exactly("G29", "descriptors more than before", daemon.descriptors() - descriptors, 0);
}

void order_attacks(const GoalOptions& options, Report& report) {
  Daemon daemon({.binary = options.binary, .milter = "", .rules = std::string(kRules)});
  long wrong = 0;
  const auto expect = [&](WireClient& mta, const std::string& event, std::string_view text) {
    wrong += static_cast<long>(mta.ask(event).text().substr(0, text.size()) != text);
  };
  const std::string fine = mail_packet("<a@x.example>");
  const std::string recipient = rcpt_packet("<b@x.example>");
  auto mta = open_session(daemon.address());
  for (const std::string& event : {recipient, packet('T'), packet('N'), packet('E')}) expect(mta, event, kOrder);
  expect(mta, mail_packet("<bad@x.example>"), "554 ");
  expect(mta, recipient, kOrder);  // not the verdict of the sender before, nor a pass
  expect(mta, fine, "c");
  expect(mta, packet('E'), kOrder);  // without a recipient
  expect(mta, recipient, kOrder);
  expect(mta, fine, "c");
  expect(mta, mail_packet("<bad@x.example>"), "554 ");  // MAIL twice: the second counts
  expect(mta, recipient, kOrder);
  auto twice = open_session(daemon.address());
  expect(twice, connect_packet("192.0.2.2"), "closed");
  report.exactly("G32", "verdicts of another transaction used", wrong, 0);

  // Whatever is given up returns its counts: the quota of three is whole each time.
  wrong = 0;
  const std::vector<std::string> stages = {"", packet('T'), packet('T') + header_packet("a", " b"),
                                           packet('T') + packet('N') + packet('B', "x")};
  for (const std::string& stage : stages) {
    for (const std::string& end : {packet('A'), fine, helo_packet(), std::string()}) {
      auto peer = open_session(daemon.address());
      expect(peer, fine, "c");
      for (int i = 0; i < 3; ++i) expect(peer, recipient, "c");
      peer.send(stage + end);
      if (end.empty()) {
        ::shutdown(peer.descriptor(), SHUT_WR);
        while (peer.read().command != 0) {
        }
      } else {
        peer.send(packet('U', strings({"last"})) + packet('Q'));
        while (peer.read().command != 0) {
        }
      }
    }
  }
  report.exactly("G32", "counts not returned after aborts at each stage", wrong, 0);

  auto many = open_session(daemon.address());
  many.ask(mail_packet("<many@x.example>"));
  long judged = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::string said = many.ask(rcpt_packet(fmt::format("<r{}@x.example>", i))).text();
    judged += static_cast<long>(i == 500 ? said == "c" : said.starts_with("550 "));
  }
  report.exactly("G32", "of 1,000 recipients, one permitted, judged rightly", judged, 1000);
}

}  // namespace replygate::test
