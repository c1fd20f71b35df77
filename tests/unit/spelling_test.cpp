// Spellings of one name are one, in patterns and in keys.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace replygate::test {
namespace {

constexpr std::string_view kSite = "[site]\nlocal_domains = [\"ours.example\"]\n";

std::string refusing(std::string_view when) {
  return fmt::format("{}[[rule]]\nname = \"r\"\nwhen = {{ {} }}\nreply = 550\n", kSite, when);
}

// Whether a rule with this condition refuses such a client.
bool refuses(std::string_view when, const std::string& name, const std::string& helo,
             const std::string& sender = "<a@b.example>", const std::string& subject = "") {
  World world(refusing(when));
  Talk talk(world);
  talk.connect("203.0.113.5", name);
  talk.helo(helo);
  if (!talk.mail(sender).empty() || !talk.rcpt("<c@ours.example>").empty() || !talk.data().empty()) return true;
  talk.header("Subject", subject);
  return !talk.end_of_headers().empty();
}

TEST(Spelling, HostsAreNamesOfDns) {
  for (const std::string_view pattern :
       {"evil.example", "EVIL.example.", ".evil.example", "evil.*", "/^evil\\\\.example$/"}) {
    for (const std::string helo : {"evil.example", "Evil.Example."}) {
      EXPECT_TRUE(refuses(fmt::format("helo = \"{}\"", pattern), "unknown", helo)) << pattern << helo;
    }
  }
  for (const std::string name : {"münchen.example", "MÜNCHEN.example.", "xn--mnchen-3ya.example"}) {
    for (const std::string_view fact : {"helo", "client_name"}) {
      for (const std::string_view pattern :
           {"münchen.example", "xn--mnchen-3ya.EXAMPLE", ".München.example", "*.example"}) {
        EXPECT_TRUE(refuses(fmt::format("{} = \"{}\"", fact, pattern), name, name)) << fact << pattern << name;
      }
    }
  }
}

TEST(Spelling, CaseNeverMatters) {
  for (const std::string_view pattern :
       {"JÜRGEN", "jürgen", "*ÜRG*", "J?RGEN", "/^JÜRGEN$/", "/[Ü]RGE/", "/^jürg\\\\w+$/"}) {
    for (const std::string subject : {"Jürgen", "JÜRGEN", "jÜrGeN"}) {
      EXPECT_TRUE(refuses(fmt::format("header.Subject = \"{}\"", pattern), "unknown", "x", "<a@b.example>", subject))
          << pattern << subject;
    }
    EXPECT_FALSE(refuses(fmt::format("header.Subject = \"{}\"", pattern), "unknown", "x", "<a@b.example>", "Jrgen"));
  }
  EXPECT_TRUE(refuses("sender = \"/JÜRGEN/\"", "unknown", "x", "<jürgen@b.example>"));
  EXPECT_TRUE(refuses("header.Subject = \"caf\\u00e9 *\"", "unknown", "x", "<a@b.example>", "CAFE\xcc\x81 now"));
}

TEST(Spelling, GlobsMayBeginOrEndWithTheAt) {
  EXPECT_TRUE(refuses("sender = \"@*.b.example\"", "unknown", "x", "<u@a.b.example>"));
  EXPECT_FALSE(refuses("sender = \"@*.b.example\"", "unknown", "x", "<u@b.example>"));
  EXPECT_TRUE(refuses("sender = \"news-*@\"", "unknown", "x", "<news-1@b.example>"));
}

// How many messages pass, each of these in turn.
int passing(World& world, const std::vector<std::string>& users, const std::string& helo = "x") {
  int count = 0;
  for (const std::string& user : users) {
    Talk talk(world);
    talk.connect("203.0.113.5");
    talk.helo(helo);
    if (talk.mail("<a@b.example>", user).empty() && talk.rcpt("<c@ours.example>").empty() && talk.end().empty())
      ++count;
  }
  return count;
}

TEST(Spelling, ALoginWithoutDomainIsOfTheLoginDomain) {
  World world(
      "[keys]\nlogin_domain = \"example.org\"\n"
      "[[rule]]\nname = \"r\"\nper = \"user_domain\"\nlimit = \"2 recipients / 1h\"\nreply = 450\n");
  EXPECT_EQ(passing(world, {"alice", "bob@example.org", "alice", "carol@example.net", ""}), 4);
}

TEST(Spelling, GreetingsAreOneKey) {
  World world(std::string(kSite) +
              "[[rule]]\nname = \"r\"\nper = \"helo\"\nlimit = \"1 recipients / 1h\"\nreply = 450\n"
              "[rule.override]\n\"München.example\" = \"2 recipients / 1h\"\n");
  EXPECT_EQ(passing(world, {"", ""}, "evil.example"), 1);
  EXPECT_EQ(passing(world, {""}, "EVIL.example."), 0);
  EXPECT_EQ(passing(world, {"", ""}, "münchen.example"), 2);
  EXPECT_EQ(passing(world, {""}, "xn--mnchen-3ya.example"), 0);
}

TEST(Spelling, TaggedRecipientsAreOne) {
  World world(
      "[keys]\nsubaddress = \"+\"\n"
      "[[rule]]\nname = \"r\"\nper = \"client_ip\"\nlimit = \"2 distinct_recipients / 1h\"\nreply = 450\n");
  Talk talk(world);
  talk.stranger();
  for (const std::string to : {"<a@x.example>", "<a+x@x.example>", "<b@x.example>", "<b+y@x.example>"}) {
    EXPECT_EQ(talk.rcpt(to), "") << to;
  }
  EXPECT_NE(talk.rcpt("<c@x.example>"), "");
}

TEST(Spelling, OverridesNameNetworksAndListsOfThem) {
  World world(
      "[site]\nlocal_domains = [\"ours.example\"]\ntrusted_networks = [\"203.0.113.0/24\"]\n"
      "[[rule]]\nname = \"r\"\nper = \"client_ip\"\nlimit = \"1 messages / 1h\"\nreply = 450\n"
      "[rule.override]\n\"$trusted_networks\" = \"4 messages / 1h\"\n\"203.0.113.0/29\" = \"3 messages / 1h\"\n"
      "\"203.0.113.6\" = \"2 messages / 1h\"\n");
  const auto sent = [&](std::string_view ip) {
    int count = 0;
    for (; count < 10; ++count) {
      Talk talk(world);
      talk.connect(ip);
      talk.mail("<a@b.example>");
      if (!talk.rcpt("<c@ours.example>").empty() || !talk.end().empty()) break;
    }
    return count;
  };
  EXPECT_EQ(sent("203.0.113.5"), 3);
  EXPECT_EQ(sent("203.0.113.6"), 2);
  EXPECT_EQ(sent("203.0.113.66"), 4);
  EXPECT_EQ(sent("198.51.100.1"), 1);
}

TEST(Spelling, QuotedKeysInFilesMayHaveBlanks) {
  const std::string_view rule =
      "version = 1\n[[rule]]\nname = \"r\"\nper = \"sender\"\nlimit = \"1 messages / 1h\"\nreply = 450\n"
      "override = { file = \"own\" }\n";
  const Loaded loaded = load_policy("p.toml", [&](const DataSource& source, std::string&) {
    std::optional<std::string> text;
    if (source.path == "p.toml") text = rule;
    if (source.path == "own") text = "\"a b\"@b.example 7 messages / 1h\n";
    return text;
  });
  ASSERT_TRUE(loaded.ok()) << loaded.diagnostics.front().message;
  EXPECT_TRUE(loaded.policy->rules().front().overrides.exact.contains("\"a b\"@b.example"));
}

TEST(Spelling, NumbersMayBeAList) {
  World world(
      "[lists]\np = [\"25\", \"1000..2000\"]\n[[rule]]\nname = \"r\"\nwhen = { messages = [\"$p\", 3] }\nreply = "
      "450\n");
  Talk talk(world);
  talk.stranger();
  EXPECT_EQ(talk.mail("<a@b.example>"), "");
  EXPECT_NE(talk.mail("<a@b.example>"), "");
}

// What may have no tag, and expressions that match keys without one, are keys as they stand.
TEST(Spelling, KeysThatOnlyLookTaggedLoad) {
  const auto loads = [](std::string_view subaddress, std::string_view key) {
    return test::load_text(
               fmt::format("version = 1\n[keys]\nsubaddress = \"{}\"\n[[rule]]\nname = \"r\"\nper = \"sender\"\n"
                           "limit = \"9 messages / 1h\"\nreply = 452\n[rule.override]\n'{}' = \"1 messages / 1h\"\n",
                           subaddress, key))
        .ok();
  };
  EXPECT_TRUE(loads("+-", ".my-domain.example"));
  EXPECT_TRUE(loads("+", "/^user(\\+.*)?@example\\.org$/"));
  EXPECT_TRUE(loads("-", "/@my\\-domain\\.example$/"));
  EXPECT_FALSE(loads("+", "a+*@example.org"));
}

}  // namespace
}  // namespace replygate::test
