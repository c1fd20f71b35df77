// What passes a session by, and what it keeps.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/decide/session.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

// Mail of our own is known by where it comes from: no sender makes a client's mail pass.
TEST(Session, OwnConnectionsPassAndCountForNothing) {
  World world(
      "[[rule]]\nname = \"host\"\nwhen = { client_ip = \"192.0.2.9\" }\nlimit = \"1 connections / 1h\"\nreply = 421\n"
      "[[rule]]\nname = \"quota\"\nlimit = \"1 recipients / 1h\"\nreply = 452\n"
      "[[rule]]\nname = \"all\"\nwhen = { sender = \"replygate@example.org\" }\nreply = 554\n");
  OwnConnections own;
  const auto ip = IpAddress::parse("192.0.2.9").value();
  const auto here = IpAddress::parse("192.0.2.1").value();
  const auto send = [&](std::int64_t port, std::optional<IpAddress> server = std::nullopt, std::int64_t at = 0) {
    Session session(world.policy, {world.gate, world.records, world.references, nullptr, &own}, {});
    std::string heard;
    const auto note = [&](const Answer& a) { heard += a.refusal ? std::to_string(a.refusal->code()) : "250"; };
    session.connect({.ip = ip, .port = port, .server = server, .server_port = at}, world.now, [](const Answer&) {});
    session.mail({.sender = "<replygate@example.org>"}, world.now, note);
    session.rcpt({.recipient = "<postmaster@example.org>"}, world.now, note);
    session.rcpt({.recipient = "<admin@example.org>"}, world.now, note);
    session.end_of_message(world.now, note);
    return heard;
  };
  const ConnectionEnds ends{ip, 50123, here, 25};
  own.add(ends);
  EXPECT_EQ(send(50123), "250250250250");
  EXPECT_EQ(send(50123), "250250250250");
  EXPECT_EQ(send(50123, here, 25), "250250250250");
  // The same port may come to another place at the same time.
  EXPECT_EQ(send(50123, here, 587).substr(0, 3), "554");
  EXPECT_EQ(send(50123, ip, 25).substr(0, 3), "421");
  EXPECT_EQ(send(50124).substr(0, 3), "421");
  own.remove(ends);
  EXPECT_EQ(send(50123).substr(0, 3), "421");  // the second connection that counts
}

// What was said of each recipient is kept until the message ends, and counts.
TEST(Session, TheFootprintHasVerdictsToo) {
  std::string policy;
  for (int i = 0; i < 5; ++i) {
    policy += fmt::format(
        "[[rule]]\nname = \"q{}\"\nper = [\"sender\", \"client_ip\"]\nlimit = \"900 recipients / 1h\"\nreply = 452\n",
        i);
  }
  const auto footprint = [](World& world) {
    Session session(world.policy, {world.gate, world.records, world.references}, {});
    const auto ignore = [](const Answer&) {};
    session.connect({.ip = IpAddress::parse("192.0.2.1")}, world.now, ignore);
    session.mail({.sender = "<someone@elsewhere.example>"}, world.now, ignore);
    for (int i = 0; i < 100; ++i) session.rcpt({.recipient = fmt::format("<r{}@ours.example>", i)}, world.now, ignore);
    return session.footprint();
  };
  World none("");
  World five(policy);
  const std::size_t verdicts = footprint(five) - footprint(none);
  EXPECT_GE(verdicts, 100 * 5 * sizeof(LimitUse));
  EXPECT_LE(verdicts, 100 * 5 * (sizeof(LimitUse) + 200));
}

}  // namespace
}  // namespace replygate::test
