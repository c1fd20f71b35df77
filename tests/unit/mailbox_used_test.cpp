// `mailbox_used`, through the session.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace replygate::test {
namespace {

std::string code_of_reply(const std::string& reply) { return reply.substr(0, 3); }

// Answers later, like a service.
class SlowMailboxes final : public Mailboxes {
 public:
  void used(const Address& recipient, std::int64_t size, Told told) override {
    asked.push_back(fmt::format("{} {}", recipient.full, size));
    if (later) {
      waiting = std::move(told);
    } else {
      told(use);
    }
  }
  std::vector<std::string> asked;
  MailboxUse use;
  bool later = false;
  Told waiting;
};

TEST(MailboxUsed, IsAskedForEachRecipientWhereARuleNeedsIt) {
  World world(
      "[mailbox]\nfile = \"quotas\"\n"
      "[[rule]]\nname = \"full\"\nwhen = { recipient_domain = \"x.example\", mailbox_used = \">= 100%\" }\nreply = "
      "\"mailbox-full\"\n");
  SlowMailboxes mailboxes;
  Talk talk(world, {}, &mailboxes);
  talk.connect("192.0.2.1");
  talk.mail("<a@b.example>", "", {"SIZE=500"});
  mailboxes.use = MailboxUse::of(99);
  EXPECT_EQ(talk.rcpt("<a@x.example>"), "");
  mailboxes.use = MailboxUse::of(100);
  EXPECT_EQ(code_of_reply(talk.rcpt("<B@X.example>")), "452");
  EXPECT_EQ(talk.rcpt("<c@other.example>"), "");
  mailboxes.use = {};
  EXPECT_EQ(code_of_reply(talk.rcpt("<d@x.example>")), "451");
  EXPECT_EQ(mailboxes.asked[1], "b@x.example 500");
  World other("[[rule]]\nname = \"r\"\nwhen = { recipient_local = \"no\" }\nreply = 550\n");
  SlowMailboxes idle;
  Talk quiet(other, {}, &idle);
  quiet.stranger();
  quiet.rcpt("<a@x.example>");
  EXPECT_TRUE(idle.asked.empty());
}

// An alias has no mailbox of its own, and what is external has its mailbox elsewhere: nothing that could be full.
TEST(MailboxUsed, WhoHasNoMailboxHasNoFullOne) {
  World world(
      "[mailbox]\nfile = \"quotas\"\n[site]\nlocal_domains = [\"x.example\"]\n[keys]\nsubaddress = \"+\"\n"
      "[[rule]]\nname = \"full\"\nwhen = { mailbox_used = [\">= 100%\", \"!= 50%\"] }\nreply = \"mailbox-full\"\n");
  SlowMailboxes mailboxes;
  Talk talk(world, {}, &mailboxes);
  talk.stranger();
  mailboxes.use = MailboxUse::none();
  EXPECT_EQ(talk.rcpt("<alias@x.example>"), "");
  mailboxes.use = {};
  EXPECT_EQ(talk.rcpt("<a@other.example>"), "");
  EXPECT_EQ(mailboxes.asked.size(), 1U);
  mailboxes.use = MailboxUse::of(100);
  EXPECT_EQ(code_of_reply(talk.rcpt("<user+tag@x.example>")), "452");
  EXPECT_EQ(mailboxes.asked[1], "user@x.example 0");
  mailboxes.use = {};
  EXPECT_EQ(code_of_reply(talk.rcpt("<b@x.example>")), "451");
}

TEST(MailboxUsed, TheAnswerMayComeLater) {
  World world(
      "[mailbox]\nfile = \"quotas\"\n"
      "[[rule]]\nname = \"full\"\nwhen = { mailbox_used = \">= 100%\" }\nreply = \"mailbox-full\"\n");
  SlowMailboxes mailboxes;
  mailboxes.later = true;
  auto session = world.session({}, &mailboxes);
  session->connect({.ip = IpAddress::parse("192.0.2.1")}, world.now, [](const Answer&) {});
  session->mail({.sender = "<a@b.example>"}, world.now, [](const Answer&) {});
  std::string said = "nothing";
  session->rcpt({.recipient = "<c@x.example>"}, world.now,
                [&](const Answer& answer) { said = answer.refusal ? answer.refusal->one_line() : ""; });
  EXPECT_EQ(said, "nothing");
  mailboxes.waiting(MailboxUse::of(120));
  EXPECT_EQ(code_of_reply(said), "452");
  session->abort(world.now);
}

}  // namespace
}  // namespace replygate::test
