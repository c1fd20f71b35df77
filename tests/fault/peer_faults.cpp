// Peers that fail at every answer: peer_faults REPLYGATE [every [PEER…]]
//
// Redis, Dovecot, the MTA that takes notes, a web server that takes them, and the MTA that asks: each is late, cut,
// doubled, garbage, or gone at one answer after the other of a script, once or from then on. With `every` only each
// such turn is played; 1 is the long form.

#include <fmt/format.h>

#include <cstdlib>
#include <exception>
#include <functional>
#include <set>
#include <string>

#include "tests/fault/peer_play.h"
#include "tests/fault/report.h"

namespace replygate::test {
namespace {

struct PeerRow {
  std::string_view name;
  std::function<std::unique_ptr<PeerPlay>()> begin;
};

void play(PeerPlay& peer, long every) {
  const long answers = peer.answers();
  long number = 0;
  for (long answer = 1; answer <= answers; ++answer) {
    for (const PeerFault fault : kPeerFaults) {
      for (const bool lasting : {false, true}) {
        if (++number % every != 0) continue;
        peer.turn(fault, answer, lasting);
        ++peer.figures.turns;
      }
    }
  }
  peer.end();
}

void tell(std::string_view name, const PeerFigures& f, Report& report) {
  report.exactly(name, fmt::format("deaths in {} turns", f.turns), f.deaths, 0);
  report.exactly(name, "not answered", f.unanswered, 0);
  report.exactly(name, "answered wrongly", f.wrong, 0);
  report.exactly(name, "miscounted", f.miscounted, 0);
  report.exactly(name, "trouble that was not shown", f.silent, 0);
  report.exactly(name, "not in order though the peer was", f.stuck, 0);
  report.measured(name, "slowest answer", f.slowest, 2.5, "s");
  if (!f.first.empty()) fmt::print("{}: first {}\n", name, f.first);
}

int run(const std::string& binary, long every, const std::set<std::string, std::less<>>& chosen) {
  const PeerRow rows[] = {{"REDIS", [&] { return redis_play(binary); }},
                          {"DOVECOT", [&] { return dovecot_play(binary); }},
                          {"SMTP", [] { return mail_note_play(); }},
                          {"WEBHOOK", [] { return webhook_note_play(); }},
                          {"MTA", [&] { return mta_play(binary); }}};
  Report report(true);
  for (const PeerRow& row : rows) {
    if (!chosen.empty() && !chosen.contains(row.name)) continue;
    const auto peer = row.begin();
    play(*peer, every);
    tell(row.name, peer->figures, report);
  }
  return report.good() ? 0 : 1;
}

}  // namespace
}  // namespace replygate::test

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: peer_faults REPLYGATE [every [PEER…]]\n");
    return 64;
  }
  try {
    return replygate::test::run(argv[1], argc > 2 ? std::strtol(argv[2], nullptr, 10) : 1,
                                {argv + std::min(argc, 3), argv + argc});
  } catch (const std::exception& error) {
    fmt::print(stderr, "peer_faults: {}\n", error.what());
    return 1;
  }
}
