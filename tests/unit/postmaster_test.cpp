// Whom no limit refuses (RFC 5321 §4.5.1).

#include <gtest/gtest.h>

#include "tests/support/counts.h"

namespace replygate::test {
namespace {

TEST(Counts, PostmasterIsNeverRefusedByALimit) {
  for (const char* limit :
       {"per = \"client_ip\"\nlimit = \"1 messages / 1h\"", "per = \"client_ip\"\nlimit = \"1 connections / 1h\"",
        "per = \"client_ip\"\nlimit = \"1 messages / 1h\"\ncount = \"attempts\"",
        "when = { helo = \"*\" }\nlimit = \"0 connections / 1h\"", "per = \"client_ip\"\nlimit = \"10 B / 1h\"",
        "limit = \"0 messages / session\"", "per = \"client_ip\"\nlimit = \"1 recipients / 1h\"\nat = \"data\""}) {
    World world(std::string(kSite) + rule("r", limit));
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(send(world, "<postmaster@example.org>"), 250) << limit;
      EXPECT_EQ(send(world, "<Postmaster>"), 250) << limit;
    }
  }
}

TEST(Counts, WhatALimitRefusesAtMailOthersGetAsRecipients) {
  World world(std::string(kSite) + rule("r", "per = \"client_ip\"\nlimit = \"1 messages / 1h\"") +
              rule("bad", "when = { sender = \"bad@x.example\" }", "554"));
  EXPECT_EQ(send(world, "<r@example.org>"), 250);
  Talk talk(world);
  talk.connect("203.0.113.5");
  EXPECT_EQ(talk.mail("<a@x.example>"), "");
  EXPECT_EQ(code(talk.rcpt("<r@example.org>")), 451);
  EXPECT_EQ(talk.rcpt("<postmaster@example.org>"), "");
  EXPECT_EQ(code(talk.rcpt("<postmaster@far.example>")), 451);
  EXPECT_EQ(talk.end(), "");
  EXPECT_NE(world.records.json.back().find("\"rule\":\"r\""), std::string::npos);
  EXPECT_EQ(code(talk.mail("<bad@x.example>")), 451);  // nobody is spared: the first that refuses answers at once
}

TEST(Counts, AClosingLimitClosesTheConnection) {
  World world(std::string(kSite) + rule("r", "per = \"client_ip\"\nlimit = \"1 connections / 1h\"", "421"));
  EXPECT_EQ(send(world, "<r@example.org>"), 250);
  EXPECT_EQ(code(Talk(world).connect("203.0.113.5")), 421);
}

constexpr std::string_view kRelayRule =
    "[[rule]]\nname = \"no-open-relay\"\nunless = { recipient_domain = [\"$local_domains\", \"$relay_domains\"], "
    "client_ip = \"$trusted_networks\", authenticated = true }\nreply = \"relay-denied\"\n";

TEST(Counts, BarePostmasterIsOurs) {
  for (const char* domains : {"[\"example.org\"]", "[\".example.org\"]"}) {
    World world(
        fmt::format("[site]\nlocal_domains = {}\ndefault_domain = \"mail.far.example\"\n{}", domains, kRelayRule));
    Talk talk(world);
    talk.stranger();
    EXPECT_EQ(talk.rcpt("<postmaster>"), "");
    EXPECT_EQ(talk.rcpt("<POSTMASTER>", "smtp", "postmaster@mail.far.example"), "");
    EXPECT_EQ(code(talk.rcpt("<other>")), 571);
    EXPECT_EQ(code(talk.rcpt("<victim@mail.far.example>")), 571);
    EXPECT_EQ(code(talk.rcpt("<postmaster@far.example>")), 571);
  }
}

}  // namespace
}  // namespace replygate::test
