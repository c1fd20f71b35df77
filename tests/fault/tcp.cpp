#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"

namespace replygate::test {

// Sendmail writes macros and command one by one, and its kernel keeps the second back until the first is acknowledged.
void two_writes(const GoalOptions& options, Report& report) {
  const std::string address = "inet:18896@127.0.0.1";
  Daemon daemon({.binary = options.binary, .milter = "", .rules = "", .address = address});
  auto mta = open_session(address);
  mta.ask(mail_packet("<a@x.example>"));
  Latencies latencies;
  for (int i = 0; i < 200; ++i) {
    const auto start = now();
    mta.send(macros_packet('R', {"{rcpt_mailer}", "local"}));
    mta.send(rcpt_packet("<r@x.example>"));
    latencies.add(mta.read().command == 'c' ? seconds_since(start) * 1000 : 1e9);
  }
  report.measured("TCP", "median of a command in two writes", latencies.percentile(50), 5, "ms");
}

}  // namespace replygate::test
