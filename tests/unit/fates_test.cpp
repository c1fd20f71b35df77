// What becomes of mail in tests and in `replygate try`: which recipients come to what, what is said of impossible
// numbers, and states to begin with.

#include "policy/scenario/fates.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "policy/decide/inquiry.h"
#include "policy/load/given_outcomes.h"
#include "policy/load/state.h"
#include "policy/scenario/player.h"
#include "policy/scenario/trace.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

// "0d 1b": deferred, hard bounce, blocked (x), delivered (s), complaint.
std::string text_of(const Fates& fates) {
  std::string text;
  for (const auto& [recipient, unit] : fates) {
    const char what = unit == Unit::deferrals      ? 'd'
                      : unit == Unit::hard_bounces ? 'b'
                      : unit == Unit::blocked      ? 'x'
                      : unit == Unit::deliveries   ? 's'
                                                   : 'c';
    text += fmt::format("{}{}{}", text.empty() ? "" : " ", recipient, what);
  }
  return text;
}

TEST(FatesOfMail, FinalOnesExcludeEachOther) {
  EXPECT_EQ(text_of(fates_of({{Unit::hard_bounces, 1}, {Unit::deliveries, 2}}, 4)), "0b 1s 2s");
  EXPECT_EQ(text_of(fates_of({{Unit::deliveries, 2}, {Unit::blocked, 3}}, 4)), "0s 1s 2x 3x");
  EXPECT_EQ(text_of(fates_of({{Unit::deliveries, 2}}, 0)), "");
}

TEST(FatesOfMail, DeferralsComeBeforeOneOrStandAlone) {
  EXPECT_EQ(text_of(fates_of({{Unit::deferrals, 2}, {Unit::deliveries, 2}}, 4)), "2d 3d 0s 1s");
  EXPECT_EQ(text_of(fates_of({{Unit::deliveries, 3}, {Unit::deferrals, 3}}, 4)), "3d 0d 1d 0s 1s 2s");
  EXPECT_EQ(text_of(fates_of({{Unit::deferrals, 2}, {Unit::hard_bounces, 2}}, 2)), "0d 1d 0b 1b");
}

TEST(FatesOfMail, WhoDidNotGetItDoesNotComplain) {
  EXPECT_EQ(text_of(fates_of({{Unit::hard_bounces, 1}, {Unit::deliveries, 2}, {Unit::complaints, 2}}, 4)),
            "0b 1s 2s 1c 2c");
  EXPECT_EQ(text_of(fates_of({{Unit::complaints, 4}, {Unit::blocked, 1}, {Unit::deliveries, 1}}, 3)), "0x 1s 1c 2c");
}

std::string said_of(std::string_view text, std::size_t recipients) {
  const GivenOutcomes given = parse_outcomes(text, "--outcome", recipients);
  std::string said;
  for (const Diagnostic& d : given.diagnostics) said += render(d, given.sources);
  return said;
}

TEST(GivenOutcomesOfMail, AreThoseOfTests) {
  const GivenOutcomes given = parse_outcomes("hard_bounces = 8, deliveries = 52", "--outcome", 60);
  EXPECT_TRUE(given.diagnostics.empty());
  EXPECT_EQ(given.outcomes, (Outcomes{{Unit::hard_bounces, 8}, {Unit::deliveries, 52}}));
  EXPECT_EQ(parse_outcomes(" { blocked = 1 } ", "--outcome", 1).outcomes, (Outcomes{{Unit::blocked, 1}}));
  EXPECT_EQ(said_of("deferrals = 30, deliveries = 30", 30), "");
  EXPECT_EQ(said_of("deliveries = 30, complaints = 30", 30), "");
  EXPECT_EQ(said_of("", 0), "");
}

TEST(GivenOutcomesOfMail, MistakesSayWhatWhereAndWhatToDo) {
  EXPECT_EQ(
      said_of("deliveries = 30, blocked = 1", 30),
      "error[RG1802]: 31 final outcomes for 30 recipients\n"
      "  --> --outcome:1:11\n   |\n"
      " 1 | outcome = { deliveries = 30, blocked = 1 }\n"
      "   |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n   |\n"
      "   = help: a recipient has one of hard_bounces, blocked and deliveries; a deferral may come before it\n\n");
  for (const auto& [text, part] : std::initializer_list<std::pair<const char*, const char*>>{
           {"deferrals = 3", "3 deferrals for 2 recipients"},
           {"complaints = 3", "3 complaints of 2 recipients that may have got the message"},
           {"hard_bounces = 1, complaints = 2", "2 complaints of 1 recipient that"},
           {"bounces = 1", "outcome has no key \"bounces\""},
           {"hard_bounces = \"8\"", "hard_bounces"},
           {"hard_bounces = -1", "hard_bounces"},
           {"hard_bounces", "write for instance 'hard_bounces = 8, deliveries = 52'"},
           {"blocked = 1 }\nx = {", "only outcomes stand here"}}) {
    EXPECT_NE(said_of(text, 2).find(part), std::string::npos) << text << ": " << said_of(text, 2);
  }
}

constexpr const char* kOutcomePolicy = R"(
[outcomes]
log = "/var/log/mail.log"
[[rule]]
name = "thief"
per = "sender"
limit = ["10% hard_bounces / 1h", "20 blocked / 1d"]
at_least = "50 recipients"
reply = 450
[[rule]]
name = "dead"
when = { recipient_dead = true }
reply = "unknown-user"
)";

// A player whose counters and dead addresses are those of a state.
class Seeded : public testing::Test {
 protected:
  std::string seed(const std::string& text) {
    const ReadSource read = [&](const DataSource&, std::string&) { return std::optional(text); };
    const SeededState state = seed_state("state.toml", read, *policy, now, player.store());
    player.dead().named.insert(state.dead.begin(), state.dead.end());
    std::string said;
    for (const Diagnostic& d : state.diagnostics) said += render(d, state.sources);
    return said;
  }
  // The rule that answers; "" for none.
  std::string answer(const std::string& to = "r@there.example") {
    Given given;
    given.from = "carol@example.org";
    return player.play(given, {to}, now).recipients.at(0).rule;
  }
  static std::string counter(const std::string& rest) { return "[[counter]]\nrule = \"thief\"\n" + rest + "\n"; }
  static std::string share(int used, int of) {
    return counter(
        fmt::format("limit = \"10% hard_bounces / 1h\"\nkey = \"carol@example.org\"\nused = {}\nof = {}", used, of));
  }

  std::shared_ptr<const Policy> policy = policy_from(kOutcomePolicy);
  Tracer tracer;
  Player player{policy, &tracer};
  Instant now{std::chrono::hours(490000)};
};

TEST_F(Seeded, AShareHasBothOfItsNumbers) {
  EXPECT_EQ(seed(share(6, 60)), "");
  EXPECT_EQ(answer(), "thief");
  bool traced = false;
  for (const Trace& trace : tracer.traces()) {
    traced |= replygate::text_of(trace).find("6 of 60 recipients, reaches 10% hard_bounces / 1h") != std::string::npos;
  }
  EXPECT_TRUE(traced);
}

TEST_F(Seeded, AShareBelowTheLimitLetsThrough) {
  EXPECT_EQ(seed(share(6, 61)), "");
  EXPECT_EQ(answer(), "");
}

// Six messages of one sender to a hundred recipients each, a minute apart, and what became of each of them.
struct SixMessages {
  SixMessages(const std::shared_ptr<const Policy>& policy, const Outcomes& outcomes) {
    Tracer tracer;
    Player player(policy, &tracer);
    Given given;
    given.from = "carol@example.org";
    Instant now{std::chrono::hours(490000)};
    for (int i = 0; i < 6; ++i, now += std::chrono::minutes(1)) {
      const auto played = player.play(given, *expand_ranges("r{1..100}@there.example"), now);
      refused += std::ranges::count_if(played.recipients, [](const Delivered& d) { return d.reply.has_value(); });
      player.tell(outcomes, now);
    }
    for (const Trace& trace : tracer.traces()) traced += replygate::text_of(trace);
    last = replygate::text_of(tracer.traces().back());
  }

  std::ptrdiff_t refused = 0;  // recipients
  std::string traced;
  std::string last;  // of the traces
};

// Whatever the rule's other limits would have said: what became of it counts, too.
TEST(ObservedShares, AreOfAllThatIsLetThrough) {
  for (const std::string_view beside :
       {"", ", \"3 blocked / 1h\"", ", \"150 recipients / 1h\"", ", \"2 recipients / message\""}) {
    SCOPED_TRACE(beside);
    const auto policy = policy_from(fmt::format(
        "[outcomes]\nlog = \"/var/log/mail.log\"\n[[rule]]\nname = \"r\"\nmode = \"observe\"\nper = \"sender\"\n"
        "limit = [\"10% hard_bounces / 1h\"{}]\nat_least = \"50 recipients\"\nreply = 450\n",
        beside));
    const SixMessages six(policy, {{Unit::hard_bounces, 8}, {Unit::blocked, 4}});
    EXPECT_EQ(six.refused, 0);
    EXPECT_NE(six.last.find("40 of 599 recipients, within"), std::string::npos) << six.last;
  }
}

// Of a rule that lets mail pass on hold, with another one behind it. The recipients behind the one that has put a
// message on hold are not asked, and so count in neither number.
TEST(HeldShares, AreOfAllThatIsLetThrough) {
  const auto policy = policy_from(
      "[outcomes]\nlog = \"/var/log/mail.log\"\n[[rule]]\nname = \"r\"\nper = \"sender\"\n"
      "limit = [\"10% hard_bounces / 1h\", \"150 recipients / 1h\"]\nat_least = \"50 recipients\"\nhold = \"full\"\n"
      "[[rule]]\nname = \"behind\"\nper = \"sender\"\nlimit = \"10000 recipients / 1h\"\nreply = 450\n");
  const SixMessages six(policy, {{Unit::hard_bounces, 8}});
  EXPECT_NE(six.traced.find("19 of 154 recipients, reaches"), std::string::npos);
}

TEST_F(Seeded, AShareOfFewSaysNothing) {
  EXPECT_EQ(seed(share(40, 49)), "");
  EXPECT_EQ(answer(), "");
}

TEST_F(Seeded, ManyOutcomesAreNotCutOff) {
  EXPECT_EQ(seed(share(6000, 61000)), "");
  EXPECT_EQ(answer(), "");
  EXPECT_EQ(seed(share(6101, 0)), "");
  EXPECT_EQ(answer(), "thief");
}

TEST_F(Seeded, OutcomesAreCounted) {
  const auto blocked = [&](int used) {
    return counter(fmt::format("limit = \"20 blocked / 1d\"\nkey = \"carol@example.org\"\nused = {}", used));
  };
  EXPECT_EQ(seed(blocked(19)), "");
  EXPECT_EQ(answer(), "");
  EXPECT_EQ(seed(blocked(20)), "");
  EXPECT_EQ(answer(), "thief");
}

TEST_F(Seeded, TheDeadAreDead) {
  EXPECT_EQ(seed("dead = [\"Bob@There.example\", \"eve@there.example\"]\n"), "");
  EXPECT_EQ(answer("bob@there.example"), "dead");
  EXPECT_EQ(answer("carol@there.example"), "");
}

TEST_F(Seeded, MistakesAreTold) {
  const std::string key = "key = \"carol@example.org\"\n";
  for (const auto& [text, part] : std::vector<std::pair<std::string, const char*>>{
           {counter("limit = \"10% hard_bounces / 1h\"\n" + key + "used = 6"), "a share of how many recipients?"},
           {counter("limit = \"20 blocked / 1d\"\n" + key + "used = 6\nof = 60"), "is no share"},
           {counter("limit = \"20 blocked / 1h\"\n" + key + "used = 6"),
            "it has \"10% hard_bounces / 1h, at least 50 recipients\", \"20 blocked / 1d\""},
           {counter("limit = \"20 blocked / 1d\"\n" + key + "used = 100001"), "100000"},
           {"dead = [\"nobody\"]\n", "\"nobody\" is not an address"},
           {"dead = [7]\n", "dead"},
           {"died = []\n", "did you mean \"dead\""}}) {
    EXPECT_NE(seed(text).find(part), std::string::npos) << text << seed(text);
  }
  EXPECT_EQ(answer(), "");
}

TEST_F(Seeded, DeferredAndThenDeliveredCountsInBoth) {
  policy = policy_from(
      "[outcomes]\nlog = \"/var/log/mail.log\"\n[[rule]]\nname = \"deferred\"\nper = \"sender\"\nlimit = "
      "\"30 deferrals / 1h\"\nmode = \"observe\"\nreply = 450\n[[rule]]\nname = \"delivered\"\nper = \"sender\"\n"
      "limit = \"30 deliveries / 1h\"\nreply = 451\n");
  Player two(policy);
  Given given;
  given.from = "carol@example.org";
  EXPECT_EQ(two.play(given, *expand_ranges("r{1..30}@there.example"), now).recipients.at(0).rule, "");
  two.tell({{Unit::deferrals, 30}, {Unit::deliveries, 30}}, now);
  const Played after = two.play(given, {"r@there.example"}, now);
  EXPECT_EQ(after.observed, std::vector<std::string>{"deferred"});
  EXPECT_EQ(after.recipients.at(0).rule, "delivered");
}

}  // namespace
}  // namespace replygate::test
