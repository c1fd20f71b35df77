// The milter protocol, packet by packet, without a socket.

#include <gtest/gtest.h>

#include "tests/support/dialogue.h"

namespace replygate::test {
namespace {

constexpr std::string_view kLocalError = "451 4.3.0 Local error in processing, try again later";

// Answers when it is told to.
class LateStore final : public Store {
 public:
  explicit LateStore(MemoryStore& store) : store_(store) {}
  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override {
    held_ = [this, charges = std::move(charges), admit, now, done = std::move(done)] {
      store_.take(charges, admit, now, done);
    };
  }
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override {
    store_.settle(std::move(ids), settlement, now, std::move(done));
  }
  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override {
    store_.forget(std::move(counters), now, std::move(done));
  }
  bool holds() const { return held_ != nullptr; }
  void answer() { std::exchange(held_, nullptr)(); }

 private:
  MemoryStore& store_;
  std::function<void()> held_;
};

constexpr std::string_view kPolicy = R"(
[[rule]]
name = "closed-client"
when = { client_ip = "198.51.100.1" }
reply = 421
[[rule]]
name = "bad-helo"
when = { helo = "bad.example" }
reply = "bad-helo"
[[rule]]
name = "closed-helo"
when = { helo = "closed.example" }
reply = 421
[[rule]]
name = "bad-sender"
when = { sender = "bad@x.example" }
reply = 554
[[rule]]
name = "bad-recipient"
when = { recipient = "bad@x.example" }
reply = 571
[[rule]]
name = "quota"
per = "sender"
limit = "3 recipients / 1h"
reply = "quota-exceeded"
[[rule]]
name = "at-data"
when = { sender = "data@x.example" }
at = "data"
reply = 550
[[rule]]
name = "big"
when = { size = "> 100 B" }
reply = "message-too-big"
)";

TEST(Dialogue, NegotiatesWhatThePolicyNeeds) {
  World world("");
  Mta mta(world);
  const auto heard = mta.hear(negotiation());
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_EQ(heard[0].command, 'O');
  const std::string& data = heard[0].data;
  EXPECT_EQ(wire::read_u32(data), 6U);
  EXPECT_EQ(wire::read_u32(std::string_view(data).substr(4)), wire::kSetMacros);
  EXPECT_EQ(wire::read_u32(std::string_view(data).substr(8)), wanted_steps({}));
  EXPECT_NE(data.find("{auth_authen}"), std::string::npos);
}

TEST(Dialogue, TakesOnlyWhatIsOffered) {
  World world("");
  for (const std::uint32_t version : {2U, 3U, 4U, 5U, 6U, 7U}) {
    Mta mta(world);
    const auto heard = mta.hear(negotiation(version, 0x7f, 0x7f));
    ASSERT_EQ(heard.size(), 1U);
    EXPECT_EQ(heard[0].data.size(), 12U) << "lists of macros that were not offered";
    EXPECT_EQ(wire::read_u32(heard[0].data), std::min(version, 6U));
    EXPECT_EQ(wire::read_u32(std::string_view(heard[0].data).substr(4)), 0U);
    EXPECT_EQ(wire::read_u32(std::string_view(heard[0].data).substr(8)) & ~0x7fU, 0U);
    EXPECT_EQ(mta.say(connect_packet("192.0.2.1")), "c");
    EXPECT_EQ(mta.say(helo_packet()), "c");
    EXPECT_EQ(mta.say(mail_packet("<a@b.example>")), "c");
    EXPECT_EQ(mta.say(rcpt_packet("<c@d.example>")), "c");
    EXPECT_EQ(mta.say(packet('E')), "c");
  }
  Mta old(world);
  old.hear(negotiation(1));
  EXPECT_EQ(old.next, Next::close);
  EXPECT_EQ(old.dialogue().problem(), "protocol version too old");
}

TEST(Dialogue, EventsWithoutReplyGetNone) {
  World world("");
  Mta mta(world);
  mta.hear(negotiation());
  EXPECT_TRUE(mta.hear(connect_packet("192.0.2.1") + helo_packet() + mail_packet("<a@b.example>")).empty());
  EXPECT_EQ(mta.say(rcpt_packet("<c@d.example>")), "c");
  EXPECT_EQ(mta.say(packet('E')), "c");
  EXPECT_EQ(last_record(world)["outcome"], "accepted");
}

TEST(Dialogue, EveryStageRefusesInThePolicysWords) {
  World world(kPolicy);
  Mta mta(world);
  mta.begin();
  EXPECT_EQ(mta.say(mail_packet("<bad@x.example>")), "554 5.7.1 Refused by the policy of this site");
  EXPECT_EQ(mta.say(mail_packet("<data@x.example>")), "c");
  EXPECT_EQ(mta.say(rcpt_packet("<bad@x.example>")), "571 5.7.1 Refused by the policy of this site");
  EXPECT_EQ(mta.say(rcpt_packet("<good@x.example>")), "c");
  EXPECT_EQ(mta.say(packet('T')).substr(0, 4), "550 ");
  EXPECT_EQ(mta.say(mail_packet("<a@x.example>")), "c");
  EXPECT_EQ(mta.say(rcpt_packet("<good@x.example>")), "c");
  EXPECT_EQ(mta.say(packet('T')), "c");
  EXPECT_EQ(mta.say(header_packet("Subject", "x")), "c");
  EXPECT_EQ(mta.say(packet('N')), "c");
  EXPECT_EQ(mta.say(packet('B', std::string(100, 'x'))), "c");
  EXPECT_EQ(mta.say(packet('E')).substr(0, 4), "552 ");
  EXPECT_EQ(last_record(world)["size"], 100 + 12 + 2);
  mta.hear(helo_packet("bad.example"));
  EXPECT_EQ(mta.say(mail_packet("<a@x.example>")), "501 5.5.2 HELO name not acceptable");
}

TEST(Dialogue, A421ClosesAtOnce) {
  World world(kPolicy);
  Mta mta(world);
  mta.hear(negotiation());
  EXPECT_EQ(mta.say(connect_packet("198.51.100.1")), "421 4.7.1 Refused by the policy of this site");
  EXPECT_EQ(last_record(world)["outcome"], "refused");
  EXPECT_EQ(last_record(world)["client_ip"], "198.51.100.1");
  Mta other(world);
  other.hear(negotiation());
  EXPECT_EQ(other.say(connect_packet("192.0.2.1")), "c");
  EXPECT_EQ(other.say(helo_packet("closed.example")), "421 4.7.1 Refused by the policy of this site");
  EXPECT_EQ(last_record(world)["helo"], "closed.example");
  EXPECT_EQ(world.records.json.size(), 2U);
}

TEST(Dialogue, MacrosReachTheFacts) {
  World world("");
  Mta mta(world);
  mta.begin();
  mta.hear(macros_packet('M', {"{auth_authen}", "carol", "i", "Q1"}) + mail_packet("<a@b.example>"));
  mta.hear(macros_packet('R', {"{rcpt_mailer}", "local", "{rcpt_host}", "x", "{rcpt_addr}", "c@d.example"}) +
           rcpt_packet("<C@d.example>"));
  // No macros: the route of the recipient before must not be taken for this one's.
  mta.hear(rcpt_packet("<e@f.example>"));
  mta.hear(macros_packet('E', {"i", "Q2"}) + packet('E'));
  auto record = last_record(world);
  EXPECT_EQ(record["user"], "carol");
  EXPECT_EQ(record["queue_id"], "Q2");
  EXPECT_EQ(record["recipients"].at(0).at("route"), "local");
  EXPECT_FALSE(record["recipients"].at(1).as_object().contains("route"));
  // The next message has none of them.
  mta.hear(packet('A') + mail_packet("<a@b.example>") + rcpt_packet("<c@d.example>") + packet('E'));
  EXPECT_EQ(last_record(world)["user"], "");
  EXPECT_EQ(last_record(world)["queue_id"], "");
}

TEST(Dialogue, RecipientsThatTheMtaRefusedAreToldApart) {
  World world("");
  Mta mta(world);
  mta.hear(negotiation());
  mta.hear(connect_packet("192.0.2.1") + mail_packet("<a@b.example>"));
  const std::string refused =
      macros_packet('R', {"{rcpt_mailer}", "error", "{rcpt_host}", "5.7.1", "{rcpt_addr}", "Relay access denied"}) +
      rcpt_packet("<c@d.example>");
  EXPECT_EQ(mta.say(refused), "c");
  EXPECT_EQ(mta.say(packet('E')), kLocalError) << "there is no recipient left";
  EXPECT_EQ(last_record(world)["recipients"].at(0).at("action"), "mta-refused");
}

TEST(Dialogue, AbortReturnsWhatWasReserved) {
  World world(kPolicy);
  Mta mta(world);
  mta.begin();
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(mta.say(mail_packet("<a@x.example>")), "c");
    for (int i = 0; i < 3; ++i) EXPECT_EQ(mta.say(rcpt_packet("<r@x.example>")), "c");
    EXPECT_EQ(mta.say(rcpt_packet("<r@x.example>")).substr(0, 4), "452 ");
    EXPECT_TRUE(mta.hear(packet('A')).empty());
    EXPECT_EQ(last_record(world)["outcome"], "aborted");
  }
}

TEST(Dialogue, ALostConnectionIsAnAbort) {
  World world(kPolicy);
  {
    Mta mta(world);
    mta.begin();
    mta.hear(mail_packet("<a@x.example>") + rcpt_packet("<r@x.example>"));
  }
  EXPECT_EQ(last_record(world)["outcome"], "aborted");
}

TEST(Dialogue, EventsOutOfOrderAreRefusedAndChangeNothing) {
  World world(kPolicy);
  Mta mta(world);
  mta.begin();
  for (const std::string& event : {rcpt_packet("<a@x.example>"), packet('T'), header_packet("a", " b"), packet('N'),
                                   packet('B', "x"), packet('E')}) {
    EXPECT_EQ(mta.say(event), kLocalError);
  }
  EXPECT_EQ(mta.say(mail_packet("<a@x.example>")), "c");
  EXPECT_EQ(mta.say(packet('T')), kLocalError) << "DATA without a recipient";
  EXPECT_EQ(mta.say(rcpt_packet("<r@x.example>")), "c");
  EXPECT_EQ(mta.say(packet('T')), "c");
  EXPECT_EQ(mta.say(rcpt_packet("<late@x.example>")), kLocalError) << "a recipient behind DATA";
  EXPECT_EQ(mta.say(packet('E')), "c");
  ASSERT_EQ(world.records.json.size(), 1U);
  EXPECT_EQ(last_record(world)["recipients"].as_array().size(), 1U);
}

TEST(Dialogue, TheEndOfAMessageWithoutRecipientsEndsIt) {
  World world(kPolicy);
  Mta mta(world);
  mta.begin();
  mta.hear(mail_packet("<a@x.example>"));
  EXPECT_EQ(mta.say(packet('E')), kLocalError);
  EXPECT_EQ(last_record(world)["outcome"], "aborted");
  EXPECT_EQ(mta.say(rcpt_packet("<r@x.example>")), kLocalError);
}

TEST(Dialogue, ASecondMailBeginsAnew) {
  World world(kPolicy);
  Mta mta(world);
  mta.begin();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(mta.say(mail_packet("<a@x.example>")), "c");
    for (int r = 0; r < 3; ++r) EXPECT_EQ(mta.say(rcpt_packet("<r@x.example>")), "c") << "the quota was not returned";
  }
  EXPECT_EQ(mta.say(mail_packet("<bad@x.example>")).substr(0, 4), "554 ");
  EXPECT_EQ(mta.say(rcpt_packet("<r@x.example>")), kLocalError) << "the transaction was refused at MAIL";
}

TEST(Dialogue, WhatBreaksTheProtocolEndsTheConnection) {
  World world("");
  const std::string ready = negotiation(6, 0x1ff, 0);
  const std::string open = ready + connect_packet("192.0.2.1");
  for (const auto& [octets, problem] : std::vector<std::pair<std::string, std::string_view>>{
           {mail_packet("<a@b>"), "no negotiation"},
           {packet('O', "short"), "negotiation too short"},
           {ready + mail_packet("<a@b>"), "an event without a session"},
           {ready + rcpt_packet("<a@b>"), "an event without a session"},
           {ready + packet('C', "host"), "malformed CONNECT"},
           {open + connect_packet("192.0.2.2"), "a second session"},
           {open + negotiation(), "negotiation within a session"},
           {open + packet('H', "no-nul"), "malformed HELO"},
           {open + packet('M'), "malformed MAIL"},
           {open + packet('R', "no-nul"), "malformed RCPT"},
           {open + packet('L', strings({"name"})), "malformed header"},
           {open + packet('?'), "unknown command"}}) {
    Mta mta(world);
    mta.hear(octets);
    EXPECT_EQ(mta.next, Next::close) << problem;
    EXPECT_EQ(mta.dialogue().problem(), problem);
  }
}

TEST(Dialogue, QuitEndsQuietly) {
  World world("");
  for (const std::string& octets :
       {packet('Q'), negotiation() + packet('Q'), negotiation() + connect_packet("") + packet('Q')}) {
    Mta mta(world);
    mta.hear(octets);
    EXPECT_EQ(mta.next, Next::close);
    EXPECT_EQ(mta.dialogue().problem(), "");
  }
}

TEST(Dialogue, OneConnectionCarriesSeveralSessions) {
  World world(kPolicy);
  for (const std::string& again : {std::string(), negotiation(6, 0x1ff, 0)}) {
    Mta mta(world);
    mta.begin("192.0.2.1");
    mta.hear(helo_packet("bad.example"));
    mta.hear(packet('K') + again);
    EXPECT_EQ(mta.say(connect_packet("192.0.2.2")), "c");
    EXPECT_EQ(mta.say(helo_packet()), "c");
    EXPECT_EQ(mta.say(mail_packet("<a@x.example>")), "c") << "the verdict on the session before";
    mta.hear(packet('A'));
    EXPECT_EQ(last_record(world)["client_ip"], "192.0.2.2");
  }
}

// Between two sessions of one connection the policy may change.
TEST(Dialogue, EachSessionHasThePolicyThatItBeginsWith) {
  const auto begin_again = [](std::string_view after) {
    World world(kPolicy);
    CurrentPolicy current(world.policy);
    Mta mta(world, &current);
    mta.begin("192.0.2.1");
    World changed(after);
    current.set(changed.policy);
    mta.hear(packet('K'));
    if (mta.next == Next::close) return std::string("closed");
    mta.say(connect_packet("192.0.2.2"));
    mta.say(helo_packet());
    return mta.say(mail_packet("<a@x.example>"));
  };
  EXPECT_EQ(begin_again(kPolicy), "c");
  std::string refusing(kPolicy);
  refusing += "[[rule]]\nname = \"all\"\nwhen = { sender = \"a@x.example\" }\nreply = 554\n";
  EXPECT_EQ(begin_again(refusing).substr(0, 3), "554");
  // One that needs what was not negotiated: the MTA connects anew.
  EXPECT_EQ(begin_again("[[rule]]\nname = \"h\"\nwhen = { header.x-spam = \"yes\" }\nhold = \"spam\"\n"), "closed");
}

TEST(Dialogue, UnknownCommandsOfTheClientGoOn) {
  World world("");
  Mta mta(world);
  mta.begin();
  EXPECT_EQ(mta.say(packet('U', strings({"FOO"}))), "c");
  mta.hear(mail_packet("<a@b.example>"));
  EXPECT_EQ(mta.say(packet('U', strings({"FOO bar"}))), "c");
  EXPECT_EQ(mta.say(rcpt_packet("<c@d.example>")), "c");
}

TEST(Dialogue, ADecisionMayComeLater) {
  World world(kPolicy);
  LateStore store(world.store);
  Gate gate(store);
  Mta mta(world, gate);
  mta.begin();
  mta.hear(mail_packet("<a@x.example>"));
  EXPECT_TRUE(mta.hear(rcpt_packet("<r@x.example>")).empty());
  EXPECT_EQ(mta.next, Next::wait);
  EXPECT_FALSE(mta.answered);
  EXPECT_FALSE(mta.dialogue().may_progress());
  ASSERT_TRUE(store.holds());
  store.answer();
  EXPECT_TRUE(mta.answered);
  EXPECT_EQ(mta.resume(), "c");
  EXPECT_EQ(mta.next, Next::read);
  EXPECT_EQ(mta.say(packet('E')), "c");
}

TEST(Dialogue, CountsItsTransactions) {
  World world(kPolicy);
  Mta mta(world);
  mta.begin();
  mta.traffic.begin_session();
  mta.hear(mail_packet("<a@x.example>"));
  // Not idle: waits in vain, and from then on nothing new is begun.
  mta.traffic.drain(std::chrono::milliseconds(0), std::chrono::milliseconds(1));
  EXPECT_EQ(mta.say(rcpt_packet("<r@x.example>")), "c");
  EXPECT_EQ(mta.say(packet('E')), "c");
  mta.traffic.drain(std::chrono::milliseconds(0), std::chrono::hours(1));  // returns at once
  EXPECT_EQ(mta.say(mail_packet("<a@x.example>")), "421 4.3.2 Service not available, closing connection");
  EXPECT_EQ(mta.say(rcpt_packet("<r@x.example>")), "421 4.3.2 Service not available, closing connection");
}

}  // namespace
}  // namespace replygate::test
