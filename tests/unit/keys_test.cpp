// What makes a key, what [keys] leaves out of it, and which keys overrides mean.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/decide/inquiry.h"
#include "policy/rules/key_part.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using test::Talk;
using test::World;

// How many of `most` recipients a sender or login may have.
int kept(World& world, std::string sender, std::string user = "", int most = 9) {
  Talk talk(world);
  talk.connect("192.0.2.1");
  if (!talk.mail("<" + sender + ">", std::move(user)).empty()) return 0;
  int count = 0;
  while (count < most && talk.rcpt(fmt::format("<r{}@x.example>", count)).empty()) ++count;
  talk.abort();
  return count;
}

World world_with(std::string_view keys, std::string_view per, std::string_view overrides) {
  return World(
      fmt::format("[keys]\n{}\n[[rule]]\nname = \"r\"\nper = {}\nlimit = \"1 recipients / 1h\"\nreply = 452\n"
                  "[rule.override]\n{}\n",
                  keys, per, overrides));
}

TEST(OverrideKeys, AreAsTheFactsAre) {
  for (const auto& [key, sender] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"user@münchen.example", "user@xn--mnchen-3ya.example"},
           {"User@MÜNCHEN.example", "user@münchen.example"},
           {"JÜRGEN@a.example", "ju\xcc\x88rgen@a.example"},
           {"user+tag@a.example", "user@a.example"},
           {"user@a.example", "USER+other@a.example"},
           {"\\\"user\\\"@a.example", "user@a.example"},
           {"\\\"a b+c\\\"@a.example", "\"a b+c\"@a.example"},
           {R"(a\\|b@a.example)", "a|b@a.example"},
           {"@münchen.example", "a@münchen.example"},
           {".münchen.example", "a@sub.münchen.example"},
           {"*@*.münchen.example", "a@sub.münchen.example"},
           {"jürgen@", "JÜRGEN@b.example"}}) {
    World world = world_with("subaddress = \"+\"", "\"sender\"", fmt::format("\"{}\" = \"3 recipients / 1h\"", key));
    EXPECT_EQ(kept(world, std::string(sender)), 3) << key;
  }
}

TEST(OverrideKeys, OfSeveralFacts) {
  for (const std::string_view key :
       {"bob@x.example|192.0.2.1", "BOB@X.example|::ffff:192.0.2.1", "@x.example|192.0.2.1", "b*@x.example|192.0.2.1",
        ".example|192.0.2.1", "bob@|192.0.2.1"}) {
    World world = world_with("", "[\"sender\", \"client_ip\"]", fmt::format("\"{}\" = \"3 recipients / 1h\"", key));
    EXPECT_EQ(kept(world, "bob@x.example"), 3) << key;
    EXPECT_EQ(kept(world, "eve@y.test"), 1) << key;
  }
}

// A '|' within a part is no border between two.
TEST(OverrideKeys, NoTwoKeysLookLikeOne) {
  EXPECT_EQ(shown_part("a|b"), R"(a\|b)");
  EXPECT_EQ(shown_part(R"(CORP\alice)"), R"(CORP\alice)");
  EXPECT_EQ(parts_of_key(R"(CORP\alice|c)"), (std::vector<std::string>{R"(CORP\alice)", "c"}));
  for (const std::string_view part : {"", "a", "a|b", R"(a\)", R"(\|)", R"(\\)", R"(a\b)", R"(\\a)", "|", R"(a\|\|)"}) {
    EXPECT_EQ(parts_of_key(shown_part(part)), (std::vector<std::string>{std::string(part)})) << part;
    EXPECT_EQ(parts_of_key(shown_part(part) + "|x"), (std::vector<std::string>{std::string(part), "x"})) << part;
  }
  World world =
      world_with("", "[\"sender\", \"helo\"]", "\"a\\\\|b@x.example|client.example.net\" = \"3 recipients / 1h\"");
  const auto with = [&](std::string sender, std::string helo) {
    Talk talk(world);
    talk.connect("192.0.2.1");
    talk.helo(std::move(helo));
    talk.mail("<" + sender + ">");
    int count = 0;
    while (count < 5 && talk.rcpt(fmt::format("<r{}@x.example>", count)).empty()) ++count;
    talk.abort();
    return count;
  };
  EXPECT_EQ(with("a|b@x.example", "client.example.net"), 3);
  EXPECT_EQ(with("a@x.example", "b@x.example|client.example.net"), 1);
}

TEST(OverrideKeys, LoginsHaveBackslashes) {
  for (const std::string_view key : {R"(CORP\alice|192.0.2.1)", R"(CORP\*|192.0.2.1)", "*|192.0.2.1"}) {
    World world = world_with("", "[\"user\", \"client_ip\"]", fmt::format("'{}' = \"3 recipients / 1h\"", key));
    EXPECT_EQ(kept(world, "a@b.example", R"(corp\alice)"), 3) << key;
  }
  World world = world_with("", "\"user\"", R"('CORP\alice' = "3 recipients / 1h")");
  EXPECT_EQ(kept(world, "a@b.example", R"(corp\Alice)"), 3);
}

TEST(Keys, LoginDomainMakesOneLogin) {
  World world = world_with("login_domain = \"Example.org\"", "\"user\"", "\"bob\" = \"3 recipients / 1h\"");
  EXPECT_EQ(kept(world, "x@x.example", "bob"), 3);
  EXPECT_EQ(kept(world, "x@x.example", "BOB@example.org"), 3);
  EXPECT_EQ(kept(world, "x@x.example", "bob@other.example"), 1);
  const Rule& rule = world.policy->rules().front();
  EXPECT_EQ(key_from_text(rule, "alice", world.policy->site())->identity,
            key_from_text(rule, "Alice@EXAMPLE.org", world.policy->site())->identity);
}

TEST(Keys, NormalizeMakesOneSender) {
  World world =
      world_with("normalize = [\"batv\", \"srs\", \"verp\"]\nsubaddress = \"+\"", "\"sender\"",
                 "\"user@a.example\" = \"3 recipients / 1h\"\n\"bounce@list.example\" = \"4 recipients / 1h\"");
  EXPECT_EQ(kept(world, "prvs=0123456789=User@a.example"), 3);
  EXPECT_EQ(kept(world, "SRS0=hhh=tt=a.example=user@fwd.example"), 3);
  EXPECT_EQ(kept(world, "SRS1=ggg=fwd.example==hhh=tt=a.example=user@two.example"), 3);
  EXPECT_EQ(kept(world, "bounce-1001-x=y.example@list.example"), 4);
  World plain = world_with("", "\"sender\"", "\"user@a.example\" = \"3 recipients / 1h\"");
  EXPECT_EQ(kept(plain, "prvs=0123456789=user@a.example"), 1);
}

std::string answer(World& world, std::string sender, std::string recipient, std::string user = "") {
  Talk talk(world);
  talk.connect("192.0.2.1");
  const std::string refusal = talk.mail("<" + sender + ">", std::move(user));
  return refusal.empty() ? talk.rcpt("<" + recipient + ">") : refusal;
}

TEST(Subaddress, HoldsForPatterns) {
  for (const std::string_view pattern :
       {"\"no@x.example\"", "\"no@\"", "[\"a@b.example\", \"no@x.example\"]", "\"$l\""}) {
    World world(
        fmt::format("[lists]\nl = [\"no@x.example\"]\n[keys]\nsubaddress = \"+\"\n"
                    "[[rule]]\nname = \"r\"\nwhen = {{ recipient = {} }}\nreply = 550\n",
                    pattern));
    EXPECT_NE(answer(world, "a@b.example", "no+tag@x.example"), "") << pattern;
    EXPECT_NE(answer(world, "a@b.example", "no@x.example"), "") << pattern;
    EXPECT_EQ(answer(world, "a@b.example", "\"no +tag\"@x.example"), "") << pattern;
    EXPECT_EQ(answer(world, "a@b.example", "nobody+no@x.example"), "") << pattern;
  }
}

TEST(Subaddress, HoldsWhereRulesAreFoundByAnIndex) {
  std::string policy = "[keys]\nsubaddress = \"+\"\n";
  for (int i = 0; i < 20; ++i) {
    policy += fmt::format("[[rule]]\nname = \"r{}\"\nwhen = {{ recipient = \"no{}@x.example\" }}\nreply = 550\n", i, i);
  }
  World world(policy);
  EXPECT_NE(answer(world, "a@b.example", "no7+tag@x.example"), "");
  EXPECT_EQ(answer(world, "a@b.example", "no77+tag@x.example"), "");
}

TEST(Subaddress, ATaggedSenderIsTheLoginsOwn) {
  const std::string rule = "[[rule]]\nname = \"r\"\nwhen = { sender_login_mismatch = true }\nreply = 553\n";
  World world("[site]\nlocal_domains = [\"x.example\"]\n[keys]\nsubaddress = \"+\"\n" + rule);
  EXPECT_EQ(answer(world, "alice+list@x.example", "r@y.example", "alice@x.example"), "");
  EXPECT_EQ(answer(world, "alice+list@x.example", "r@y.example", "alice"), "");
  EXPECT_NE(answer(world, "bob+alice@x.example", "r@y.example", "alice@x.example"), "");
  World untagged("[site]\nlocal_domains = [\"x.example\"]\n" + rule);
  EXPECT_NE(answer(untagged, "alice+list@x.example", "r@y.example", "alice@x.example"), "");
}

TEST(Keys, SpellingsOfUtf8AreOneKey) {
  World world("[[rule]]\nname = \"r\"\nper = \"sender\"\nlimit = \"1 messages / 1h\"\nreply = 452\n");
  const auto send = [&](std::string sender) {
    Talk talk(world);
    talk.connect("192.0.2.1");
    std::string refusal = talk.mail("<" + sender + ">");
    if (refusal.empty()) refusal = talk.rcpt("<r@x.example>");
    if (refusal.empty()) refusal = talk.end();
    return refusal;
  };
  EXPECT_EQ(send("jürgen@x.example"), "");
  EXPECT_NE(send("JÜRGEN@x.example"), "");
  EXPECT_NE(send("ju\xcc\x88rgen@x.example"), "");
  EXPECT_EQ(send("k@x.example"), "");
  EXPECT_EQ(send("\xe2\x84\xaa@x.example"), "");
}

}  // namespace
}  // namespace replygate
