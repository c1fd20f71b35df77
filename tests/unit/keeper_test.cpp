#include <fmt/format.h>
#include <gtest/gtest.h>

#include <thread>

#include "milter/serve/raises.h"
#include "tests/support/eventually.h"
#include "tests/support/office.h"

namespace replygate {
namespace {

using std::chrono::hours;
using test::Office;

constexpr const char* kMtaRelays = "[site]\nrelay = \"mta\"\n";
constexpr std::string_view kPolicy =
    "[[rule]]\nname = \"r\"\nper = \"sender\"\nlimit = \"2 recipients / 1h\"\nreply = 452\n";

TEST(PolicyKeeper, AReloadExchangesThePolicyForNewSessions) {
  Office office(kPolicy);
  const std::string id = office.keeper.current().get()->id();
  const auto session = office.session();
  office.write_policy("[[rule]]\nname = \"r\"\nreply = 554\n");
  const PolicyKeeper::Outcome outcome = office.keeper.reload();
  EXPECT_TRUE(outcome.taken);
  EXPECT_NE(outcome.id, id);
  EXPECT_EQ(office.send("a@b.example", {"c@example.org"}), std::vector<int>{554});
  // Who has begun goes on with the old one.
  int code = 250;
  session->connect({.ip = IpAddress::parse("192.0.2.1")}, office.clock.now(), [](const Answer&) {});
  session->mail({.sender = "<x@y.example>"}, office.clock.now(), [](const Answer&) {});
  session->rcpt({.recipient = "<c@example.org>"}, office.clock.now(),
                [&](const Answer& answer) { code = answer.refusal ? answer.refusal->code() : 250; });
  EXPECT_EQ(code, 250);
  EXPECT_EQ(office.keeper.state().reloads, 1);
}

TEST(PolicyKeeper, APolicyInErrorChangesNothingAndSaysWhy) {
  Office office(kPolicy);
  const std::string id = office.keeper.current().get()->id();
  int told = 0;
  office.keeper.tell([&] { ++told; });
  office.write_policy("[[rule]]\nname = \"r\"\nrepyl = 554\n");
  const PolicyKeeper::Outcome outcome = office.keeper.reload();
  EXPECT_FALSE(outcome.taken);
  EXPECT_EQ(outcome.id, id);
  EXPECT_NE(outcome.message.find("policy.toml:4:1"), std::string::npos) << outcome.message;
  EXPECT_EQ(office.keeper.state().failures, 1);
  EXPECT_NE(office.keeper.state().trouble.find("error[RG"), std::string::npos);
  office.write_policy(kPolicy);
  EXPECT_TRUE(office.keeper.reload().taken);
  EXPECT_EQ(office.keeper.state().trouble, "");
  EXPECT_EQ(told, 2);
}

TEST(PolicyKeeper, TellsOfRulesThatCountAndAreGone) {
  Office office(kMtaRelays + std::string(kPolicy));
  const auto renamed = [](std::string_view more) {
    return fmt::format(
        "{}[[rule]]\nname = \"renamed\"\nper = \"sender\"\nlimit = \"2 recipients / 1h\"\n{}reply = 452\n", kMtaRelays,
        more);
  };
  office.write_policy(renamed("was = \"r\"\n"));
  EXPECT_EQ(office.keeper.reload().message, "");
  office.write_policy(kPolicy);
  const PolicyKeeper::Outcome outcome = office.keeper.reload();
  EXPECT_TRUE(outcome.taken);
  EXPECT_NE(outcome.message.find("\"renamed\" is gone"), std::string::npos) << outcome.message;
  EXPECT_NE(outcome.message.find("write was = \"renamed\" in the rule \"r\""), std::string::npos) << outcome.message;
}

TEST(PolicyKeeper, ARuleThatWasRemovedIsNotTakenForOneThatWasRenamed) {
  Office office(kMtaRelays + std::string(kPolicy));
  const auto reload = [&](std::string_view rules) {
    office.write_policy(kMtaRelays + std::string(rules));
    return office.keeper.reload().message;
  };
  EXPECT_EQ(reload("[[rule]]\nname = \"plain\"\nreply = 554\n"), "");
  reload(kPolicy);
  // Its counters are of clients, or of messages.
  EXPECT_EQ(reload("[[rule]]\nname = \"n\"\nper = \"client_ip\"\nlimit = \"9 recipients / 1h\"\nreply = 452\n"), "");
  reload(kPolicy);
  EXPECT_EQ(reload("[[rule]]\nname = \"n\"\nper = \"sender\"\nlimit = \"9 messages / 1h\"\nreply = 452\n"), "");
}

TEST(PolicyKeeper, TellsWarningsAtTheStartAndAtAReload) {
  Office office(kPolicy);
  const std::string open = "warning[RG1701]: the policy lets a stranger relay";
  EXPECT_NE(office.keeper.reload().message.find(open), std::string::npos);
  PolicyKeeper second(office.keeper.file(), office.folder.path().string(), office.clock, office.troubles);
  testing::internal::CaptureStderr();
  ASSERT_TRUE(second.load_first());
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_EQ(said.find(open), 0U) << said;
  EXPECT_NE(said.find("\n`replygate check " + office.keeper.file() + "` says more\n"), std::string::npos) << said;
}

// A warning that stands before it is not what keeps the policy from being taken.
TEST(PolicyKeeper, TheTroubleIsAnError) {
  Office office(kPolicy);
  office.write_policy(
      "[[rule]]\nname = \"s\"\nwhen = { sender = [] }\nreply = 554\n[[rule]]\nname = \"r\"\nrepyl = 554\n");
  EXPECT_FALSE(office.keeper.reload().taken);
  EXPECT_EQ(office.keeper.state().trouble.find("error["), 0U) << office.keeper.state().trouble;
}

TEST(PolicyKeeper, APolicyWhoseTestsFailIsNotTaken) {
  Office office(kPolicy);
  std::string text(kPolicy);
  text.append(
      "[[test]]\nname = \"t\"\ngiven = { client = \"192.0.2.1\", from = \"a@b.example\" }\n"
      "rcpt = \"c@example.org\"\nexpect = { code = 554 }\n");
  office.write_policy(text);
  const PolicyKeeper::Outcome outcome = office.keeper.reload();
  EXPECT_FALSE(outcome.taken);
  EXPECT_NE(outcome.message.find("FAIL t"), std::string::npos) << outcome.message;
}

TEST(PolicyKeeper, NamesWhatTakesARestart) {
  Office office(kPolicy);
  office.write_policy("[metrics]\nlisten = \"inet:9791@127.0.0.1\"\n[store]\nmax_keys = 1000\n" + std::string(kPolicy));
  EXPECT_EQ(office.keeper.reload().waiting, (std::vector<std::string>{"[store]", "[metrics]"}));
  EXPECT_EQ(office.keeper.reload().waiting.size(), 2U);  // still
  office.write_policy(kPolicy);
  EXPECT_TRUE(office.keeper.reload().waiting.empty());
}

TEST(PolicyKeeper, StartsWithTheLastGoodPolicyAndSaysSo) {
  Office office(kPolicy);
  office.write_policy("nonsense");
  PolicyKeeper second(office.keeper.file(), office.folder.path().string(), office.clock, office.troubles);
  testing::internal::CaptureStderr();
  const auto loaded = second.load_first();
  testing::internal::GetCapturedStderr();
  ASSERT_TRUE(loaded);
  EXPECT_TRUE(second.state().last_good);
  EXPECT_NE(second.state().trouble, "");
  office.write_policy(kPolicy);
  EXPECT_TRUE(second.reload().taken);
  EXPECT_FALSE(second.state().last_good);
}

TEST(PolicyKeeper, AThreadLooksAtLists) {
  const test::Folder lists;
  lists.write("blocked", "a@bad.example\n");
  Office office(fmt::format(
      "[lists]\nb = {{ file = \"{}\" }}\n[[rule]]\nname = \"r\"\nwhen = {{ sender = \"$b\" }}\nreply = 554\n",
      lists.file("blocked")));
  const auto before = office.keeper.current().get();
  office.keeper.start();
  lists.write("blocked", "b@bad.example\n");
  EXPECT_TRUE(test::eventually([&] { return office.keeper.current().get() != before; }));
  office.keeper.stop();
  EXPECT_EQ(office.send("b@bad.example", {"c@example.org"}), std::vector<int>{554});
}

// What cannot be read is not overwritten.
TEST(PolicyKeeper, RaisesThatAreNotUnderstoodStay) {
  Office office(kPolicy);
  office.folder.write("raises.json", "garbage");
  PolicyKeeper second(office.keeper.file(), office.folder.path().string(), office.clock, office.troubles);
  testing::internal::CaptureStderr();
  ASSERT_TRUE(second.load_first());
  testing::internal::GetCapturedStderr();
  const Raise raise{.key = "a@b.example", .percent = 200, .until = office.clock.now() + hours(2)};
  const auto refused = second.raise(raise);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().find("not understood"), std::string::npos) << refused.error();
  std::filesystem::remove(office.folder.file("raises.json"));
  EXPECT_TRUE(second.raise(raise));
}

TEST(PolicyKeeper, ARaiseHoldsForItsKeyUntilItsEnd) {
  Office office(kPolicy);
  const std::vector<std::string> to = {"1@example.org", "2@example.org", "3@example.org", "4@example.org",
                                       "5@example.org"};
  const std::string id = office.keeper.current().get()->id();
  ASSERT_TRUE(office.keeper.raise({.key = "a@b.example", .percent = 200, .until = office.clock.now() + hours(2)}));
  EXPECT_NE(office.keeper.current().get()->id(), id);
  EXPECT_EQ(office.send("a@b.example", to), (std::vector<int>{250, 250, 250, 250, 452}));
  EXPECT_EQ(office.send("x@b.example", to), (std::vector<int>{250, 250, 452, 452, 452}));
  office.clock.pass(hours(3));
  EXPECT_EQ(office.send("a@b.example", to), (std::vector<int>{250, 250, 452, 452, 452}));
}

TEST(PolicyKeeper, ARaiseOutlivesAReloadAndARestartAndCanBeTakenBack) {
  Office office(kPolicy);
  const Raise raise{
      .key = "a@b.example", .rule = "r", .percent = 150, .until = office.clock.now() + hours(2), .reason = "why not"};
  ASSERT_TRUE(office.keeper.raise(raise));
  EXPECT_TRUE(office.keeper.reload().taken);
  EXPECT_EQ(office.keeper.current().get()->raises(), Raises{raise});
  PolicyKeeper second(office.keeper.file(), office.folder.path().string(), office.clock, office.troubles);
  ASSERT_TRUE(second.load_first());
  EXPECT_EQ(second.current().get()->raises(), Raises{raise});
  ASSERT_TRUE(second.raise({.key = "a@b.example", .rule = "r", .percent = 100}));
  EXPECT_TRUE(second.current().get()->raises().empty());
  EXPECT_EQ(read_raises(office.folder.path().string(), office.clock.now()), Raises());
}

TEST(Raises, AFileThatMakesNoSenseIsReported) {
  const test::Folder folder;
  folder.write("raises.json", "[{}]");
  const auto raises = read_raises(folder.path().string(), Instant());
  ASSERT_FALSE(raises);
  EXPECT_NE(raises.error().find("raises.json"), std::string::npos);
}

}  // namespace
}  // namespace replygate
