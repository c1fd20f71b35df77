// Sources that are asked while mail comes: lists, maps, limits; what is not known; what is proved of them.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "policy/load/live_limits.h"
#include "policy/load/lookup_table.h"
#include "policy/proof/relay.h"
#include "policy/rules/key_map.h"
#include "policy/scenario/player.h"
#include "policy/scenario/test_run.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

constexpr std::string_view kBlocked = R"(
[site]
local_domains = ["x.example"]
[lists]
blocked = "socketmap:inet:127.0.0.1:2000:blocked"
[[rule]]
name = "blocked"
when = { sender = "$blocked", recipient_domain = "x.example" }
reply = 550
)";

// Sources that answer when they are told to.
class HeldLookups final : public Lookups {
 public:
  std::optional<LiveAnswer> known(const LiveSource& source, std::string_view key) override {
    const auto it = answers.find(source.name + ' ' + std::string(key));
    return it == answers.end() ? std::nullopt : std::optional(it->second);
  }
  void ask(const LiveSource& source, std::string_view key, Told told) override {
    asked.emplace_back(source.name + ' ' + std::string(key));
    held.push_back(std::move(told));
  }
  void misread(const LiveSource& source, std::string_view key) override {
    misreads.emplace_back(source.name + ' ' + std::string(key));
  }

  std::map<std::string, LiveAnswer> answers;  // known at once
  std::vector<std::string> asked;
  std::vector<std::string> misreads;
  std::vector<Told> held;
};

Played play(const std::shared_ptr<const Policy>& policy, const Given& given, std::string_view to = "r@x.example") {
  return Player(policy).play(given, {std::string(to)}, Instant(std::chrono::hours(490000)));
}

int code_of(const Played& played) {
  const auto& reply = played.recipients.front().reply;
  return reply ? reply->code() : 250;
}

Given from(std::string sender, std::string user = "") {
  Given given;
  given.from = std::move(sender);
  given.user = std::move(user);
  return given;
}

TEST(Live, AListIsWhatItsSourceSays) {
  const auto policy = policy_from(kBlocked);
  Given given = from("Bad@Y.example");
  EXPECT_EQ(code_of(play(policy, given)), 250);
  given.lookups["blocked"] = std::map<std::string, std::string>{{"bad@y.example", "listed"}};
  EXPECT_EQ(code_of(play(policy, given)), 550);
  given.from = "";  // the null sender is in no list, and nothing is asked
  given.lookups["blocked"] = std::nullopt;
  EXPECT_EQ(code_of(play(policy, given)), 250);
}

TEST(Live, WhatIsNotToldIsUnknown) {
  Given given = from("bad@y.example");
  given.lookups["blocked"] = std::nullopt;
  EXPECT_EQ(code_of(play(policy_from(kBlocked), given)), 451);
  EXPECT_EQ(code_of(play(policy_from(std::string(kBlocked) + "on_unknown = \"skip\"\n"), given)), 250);
  World world(kBlocked);  // a gate without lookups
  Talk talk(world);
  talk.stranger("<bad@y.example>");
  EXPECT_EQ(talk.rcpt("<r@x.example>").substr(0, 3), "451");
}

TEST(Live, ListsStandBesideOthers) {
  const auto policy = policy_from(
      "[lists]\na = \"socketmap:unix:/run/m:a\"\nb = [\"@other.example\"]\n"
      "[[rule]]\nname = \"r\"\nwhen = { sender = [\"$b\", \"$a\", \"one@y.example\"] }\nreply = 550\n"
      "[[rule]]\nname = \"ip\"\nwhen = { client_ip = [\"$a\", \"192.0.2.0/24\"] }\nreply = 551\n");
  Given given;
  given.client = IpAddress::parse("198.51.100.1");
  given.from = "two@y.example";
  EXPECT_EQ(code_of(play(policy, given)), 250);
  given.from = "one@y.example";
  EXPECT_EQ(code_of(play(policy, given)), 550);
  given.from = "x@other.example";
  EXPECT_EQ(code_of(play(policy, given)), 550);
  given.from = "two@y.example";
  given.lookups["a"] = std::map<std::string, std::string>{{"198.51.100.1", "listed"}};
  EXPECT_EQ(code_of(play(policy, given)), 551);
}

TEST(Live, ATaggedAddressIsAskedWithoutItsTagToo) {
  const auto policy = policy_from("[keys]\nsubaddress = \"+\"\n" + std::string(kBlocked));
  Given given = from("bad+tag@y.example");
  given.lookups["blocked"] = std::map<std::string, std::string>{{"bad@y.example", "listed"}};
  EXPECT_EQ(code_of(play(policy, given)), 550);
}

class Waits : public ::testing::Test {
 protected:
  void begin(std::string_view text) {
    policy_ = policy_from(text);
    session_ = std::make_unique<Session>(policy_, Session::Services{gate_, records_, references_}, Session::Door{});
    session_->connect({.ip = IpAddress::parse("192.0.2.7")}, now_, heard());
    session_->helo("client.example", now_, heard());
  }
  Session::Done heard() {
    return [this](const Answer& answer) { told_.push_back(answer.refusal ? answer.refusal->code() : 250); };
  }

  Instant now_{std::chrono::hours(490000)};
  HeldLookups lookups_;
  MemoryStore store_;
  Gate gate_{store_, nullptr, &lookups_};
  References references_{1};
  Records records_;
  std::shared_ptr<const Policy> policy_;
  std::unique_ptr<Session> session_;
  std::vector<int> told_;
};

TEST_F(Waits, AMissSuspendsTheSessionAndNotTheThread) {
  begin(kBlocked);
  session_->mail({.sender = "<bad@y.example>"}, now_, heard());
  const std::size_t before = told_.size();
  session_->rcpt({.recipient = "<r@x.example>"}, now_, heard());
  EXPECT_EQ(told_.size(), before);  // the call has come back, and nothing was decided
  ASSERT_EQ(lookups_.asked, std::vector<std::string>{"blocked bad@y.example"});
  std::exchange(lookups_.held, {}).front()(LiveAnswer::found("x"));
  ASSERT_EQ(told_.size(), before + 1);
  EXPECT_EQ(told_.back(), 550);
}

TEST_F(Waits, NothingIsAskedForWhatAnotherConditionDecides) {
  begin(kBlocked);
  session_->mail({.sender = "<bad@y.example>"}, now_, heard());
  session_->rcpt({.recipient = "<r@elsewhere.example>"}, now_, heard());
  EXPECT_TRUE(lookups_.asked.empty());
  EXPECT_EQ(told_.back(), 250);
}

TEST_F(Waits, OneMessageHearsOneAnswer) {
  begin(kBlocked);
  session_->mail({.sender = "<bad@y.example>"}, now_, heard());
  session_->rcpt({.recipient = "<r@x.example>"}, now_, heard());
  std::exchange(lookups_.held, {}).front()(LiveAnswer::none());
  session_->rcpt({.recipient = "<s@x.example>"}, now_, heard());
  EXPECT_EQ(lookups_.asked.size(), 1U);
  session_->mail({.sender = "<bad@y.example>"}, now_, heard());
  session_->rcpt({.recipient = "<r@x.example>"}, now_, heard());
  EXPECT_EQ(lookups_.asked.size(), 2U);  // a new message asks the cache of the source again
  std::exchange(lookups_.held, {}).front()(LiveAnswer::none());
}

TEST_F(Waits, WhatIsKnownIsDecidedAtOnce) {
  begin(kBlocked);
  lookups_.answers["blocked bad@y.example"] = LiveAnswer::found("x");
  session_->mail({.sender = "<bad@y.example>"}, now_, heard());
  session_->rcpt({.recipient = "<r@x.example>"}, now_, heard());
  EXPECT_TRUE(lookups_.asked.empty());
  EXPECT_EQ(told_.back(), 550);
}

TEST_F(Waits, MapsOfMapsAndLimitsAreAskedOneAfterTheOther) {
  begin(
      "[maps]\naccount = \"socketmap:unix:/m:account\"\ncustomer = \"socketmap:unix:/m:customer\"\n"
      "[[rule]]\nname = \"q\"\nper = \"customer(account(sender))\"\nlimit = \"9 recipients / 1h\"\n"
      "override = \"socketmap:unix:/m:limits\"\nreply = 452\n");
  lookups_.answers["socketmap:unix:/m:limits acme"] = LiveAnswer::found("1 recipients / 1h");
  session_->mail({.sender = "<info@y.example>"}, now_, heard());
  session_->rcpt({.recipient = "<a@x.example>"}, now_, heard());
  std::exchange(lookups_.held, {}).front()(LiveAnswer::found("alice"));
  std::exchange(lookups_.held, {}).front()(LiveAnswer::found(" ACME "));
  EXPECT_EQ(lookups_.asked, (std::vector<std::string>{"account info@y.example", "customer alice"}));
  EXPECT_EQ(told_.back(), 250);
  session_->rcpt({.recipient = "<b@x.example>"}, now_, heard());
  EXPECT_EQ(told_.back(), 452);
}

TEST_F(Waits, LimitsThatAreNoneAreUnknownAndSaid) {
  begin(
      "[[rule]]\nname = \"q\"\nper = \"sender\"\nlimit = \"9 recipients / 1h\"\n"
      "override = \"socketmap:unix:/m:limits\"\nreply = 452\n");
  lookups_.answers["socketmap:unix:/m:limits a@y.example"] = LiveAnswer::found("a lot");
  session_->mail({.sender = "<a@y.example>"}, now_, heard());
  session_->rcpt({.recipient = "<a@x.example>"}, now_, heard());
  EXPECT_EQ(told_.back(), 451);
  EXPECT_EQ(lookups_.misreads, std::vector<std::string>{"socketmap:unix:/m:limits a@y.example"});
}

TEST_F(Waits, RefusalsOfAMappedKeyAreCounted) {
  begin(
      "[maps]\nnet = \"socketmap:unix:/m:net\"\n"
      "[[rule]]\nname = \"refused\"\nwhen = { recipient = \"bad@x.example\" }\nreply = 550\n"
      "[[rule]]\nname = \"harvest\"\nper = \"net(client_ip)\"\nlimit = \"1 refusals / 1h\"\nreply = 421\n");
  session_->mail({.sender = "<a@y.example>"}, now_, heard());
  session_->rcpt({.recipient = "<bad@x.example>"}, now_, heard());
  while (!lookups_.held.empty()) std::exchange(lookups_.held, {}).front()(LiveAnswer::found("as1"));
  EXPECT_EQ(told_.back(), 550);
  session_->rcpt({.recipient = "<b@x.example>"}, now_, heard());
  while (!lookups_.held.empty()) std::exchange(lookups_.held, {}).front()(LiveAnswer::found("as1"));
  EXPECT_EQ(told_.back(), 421);
}

// Customers: two domains of one, and one that nobody knows.
std::string customers(std::string_view more) {
  return fmt::format(
      "[maps]\ntenant = {{ socketmap = \"unix:/m:tenant\"{} }}\n"
      "[[rule]]\nname = \"quota\"\nper = \"tenant(user_domain)\"\nlimit = \"2 messages / 1h\"\nreply = 452\n",
      more);
}

std::vector<int> codes_of(const std::shared_ptr<const Policy>& policy, const std::vector<std::string>& users,
                          Given given) {
  Player player(policy);
  std::vector<int> codes;
  for (const std::string& user : users) {
    given.user = user;
    codes.push_back(code_of(player.play(given, {"r@x.example"}, Instant(std::chrono::hours(490000)))));
  }
  return codes;
}

TEST(Maps, ALongNameIsCutBetweenCharacters) {
  EXPECT_EQ(counted_name(std::string(254, 'a') + "\xc3\xa4"), std::string(254, 'a'));
  EXPECT_EQ(counted_name(std::string(253, 'a') + "\xc3\xa4x"), std::string(253, 'a') + "\xc3\xa4");
}

TEST(Maps, NamesThatAreOneCountTogether) {
  Given given;
  given.lookups["tenant"] = std::map<std::string, std::string>{{"a.example", "Acme"}, {"b.example", "acme"}};
  const auto policy = policy_from(customers(""));
  EXPECT_EQ(codes_of(policy, {"u@a.example", "v@b.example", "w@a.example", "x@c.example"}, given),
            (std::vector<int>{250, 250, 452, 250}));
}

TEST(Maps, WhatAMapDoesNotKnowIsItselfOrTheDefault) {
  const std::vector<std::string> users = {"u@c.example", "v@d.example", "w@e.example"};
  EXPECT_EQ(codes_of(policy_from(customers("")), users, {}), (std::vector<int>{250, 250, 250}));
  EXPECT_EQ(codes_of(policy_from(customers(", default = \"others\"")), users, {}), (std::vector<int>{250, 250, 452}));
}

TEST(Maps, AMapThatDoesNotAnswerMakesTheKeyUnknown) {
  Given given;
  given.lookups["tenant"] = std::nullopt;
  EXPECT_EQ(codes_of(policy_from(customers("")), {"u@a.example"}, given), std::vector<int>{451});
  EXPECT_EQ(codes_of(policy_from(customers("") + "on_unknown = \"skip\"\n"), {"u@a.example"}, given),
            std::vector<int>{250});
  EXPECT_EQ(codes_of(policy_from(customers("")), {""}, given), std::vector<int>{250});  // no login: nothing is asked
}

TEST(Maps, KeysOfOverridesAndOfPeopleAreTheMappedNames) {
  const auto policy = policy_from(customers("") + "override = { \"Acme\" = \"1 messages / 1h\" }\n");
  Given given;
  given.lookups["tenant"] = std::map<std::string, std::string>{{"a.example", "acme"}};
  EXPECT_EQ(codes_of(policy, {"u@a.example", "v@a.example"}, given), (std::vector<int>{250, 452}));
  const auto key = key_from_text(policy->rules().front(), "ACME", policy->site());
  ASSERT_TRUE(key);
  EXPECT_EQ(key->shown, "acme");
}

TEST(Live, ThePolicyShowsWhatItAsks) {
  const auto policy = policy_from(
      "[lists]\nb = { socketmap = \"inet:[::1]:2000:b\", cache = \"1m\", timeout = \"500ms\" }\n"
      "[[rule]]\nname = \"r\"\nwhen = { sender = \"$b\" }\nreply = 550\n");
  EXPECT_NE(policy->text().find("asks       b: socketmap:inet:[::1]:2000:b, cache 1m, timeout 500ms\n"),
            std::string::npos)
      << policy->text();
}

TEST(LiveLimits, AreThoseOfAnOverride) {
  EXPECT_TRUE(read_live_limits("unlimited")->all);
  EXPECT_EQ(read_live_limits("unlimited messages, 5 recipients / 1h")->exempt, std::vector<Unit>{Unit::messages});
  EXPECT_EQ(read_live_limits("100 messages / 1h, 1k messages / day")->limits.size(), 2U);
  for (const std::string_view wrong :
       {"", "100", "100 messages", "unlimited mails", "1 messages / 1h, 2 messages / 1h", "100 messages / 1h;"}) {
    EXPECT_FALSE(read_live_limits(wrong)) << wrong;
  }
}

RelayProof::Kind proved(std::string_view rules) {
  return prove_relay(*policy_from("[site]\nlocal_domains = [\"x.example\"]\n"
                                  "[lists]\nlive = \"socketmap:unix:/m:live\"\n" +
                                  std::string(rules)))
      .kind;
}

TEST(LiveProof, NothingIsProvedByALiveList) {
  const std::string guard =
      "[[rule]]\nname = \"g\"\nunless = { recipient_domain = \"$local_domains\", authenticated = true }\nreply = 571\n";
  const std::string accepts = "[[rule]]\nname = \"a\"\nwhen = { client_ip = \"$live\" }\naccept = true\n";
  EXPECT_EQ(proved(guard), RelayProof::Kind::closed);
  EXPECT_EQ(proved(guard + accepts), RelayProof::Kind::closed);     // too late to let anything through
  EXPECT_EQ(proved(accepts + guard), RelayProof::Kind::undecided);  // whoever is in the list relays
  EXPECT_EQ(proved("[[rule]]\nname = \"g\"\nunless = { recipient_domain = [\"$local_domains\", \"$live\"] }\n"
                   "reply = 571\n"),
            RelayProof::Kind::undecided);
  // A list of the blocked does not keep strangers out: those that it does not know get through.
  EXPECT_EQ(proved("[[rule]]\nname = \"b\"\nwhen = { client_ip = \"$live\" }\nreply = 550\n"), RelayProof::Kind::open);
  // What is unknown, and skipped, is no guard.
  EXPECT_EQ(proved("[[rule]]\nname = \"g\"\nunless = { sender = \"$live\", recipient_domain = \"$local_domains\" }\n"
                   "reply = 571\non_unknown = \"skip\"\n"),
            RelayProof::Kind::undecided);
}

TEST(LiveProof, SaysWhatItHangsOn) {
  const RelayProof proof =
      prove_relay(*policy_from("[site]\nlocal_domains = [\"x.example\"]\n[lists]\nlive = \"socketmap:unix:/m:live\"\n"
                               "[[rule]]\nname = \"g\"\nunless = { recipient_domain = \"$local_domains\", client_ip = "
                               "\"$live\" }\nreply = 571\n"));
  EXPECT_EQ(proof.kind, RelayProof::Kind::undecided);
  EXPECT_EQ(proof.cause, Cause::live);
}

TEST(LookupTable, IsReadAsPostfixDoes) {
  const auto said = parse_lookup_table(
      "# comment\nhosts = a b\n  c\n\nuser=u\npassword = s = t\nquery = SELECT 1\n   FROM t\n   # comment\n  WHERE "
      "x\n");
  EXPECT_EQ(table_value(said, "hosts"), "a b c");
  EXPECT_EQ(table_value(said, "user"), "u");
  EXPECT_EQ(table_value(said, "password"), "s = t");
  EXPECT_EQ(table_value(said, "query"), "SELECT 1 FROM t WHERE x");
  EXPECT_EQ(table_value(said, "dbname", "none"), "none");
}

TEST(LookupTable, OldParametersMakeAQuery) {
  EXPECT_EQ(table_query(parse_lookup_table("table = t\nselect_field = s\nwhere_field = w\n")),
            "SELECT s FROM t WHERE w = '%s' ");
  EXPECT_EQ(table_query(parse_lookup_table("select_function = f\n")), "SELECT f('%s')");
  EXPECT_EQ(table_query(parse_lookup_table("table = t\n")), "");
}

// Lines keep their numbers.
TEST(LookupTable, PasswordsAreNotKept) {
  const std::string text = without_passwords("user = u\npassword = secret\n  more\nbind_pw=x\ndbname = d\n");
  EXPECT_EQ(text, "user = u\npassword = (hidden)\n\nbind_pw= (hidden)\ndbname = d\n");
  EXPECT_EQ(without_passwords("password =\n# here:\n\n \t\n  s3cret\nquery = a\n#password = old\n  b\n"),
            "password = (hidden)\n\n\n\n\nquery = a\n#password = (hidden)\n  b\n");
}

// Whoever mistypes a line must not find its password in a log.
TEST(LookupTable, WhatNoTableHasIsNotShown) {
  EXPECT_EQ(without_passwords("password s3cret\ns3cret\npassword: s3cret\npassword c2VjcmV0==\n"),
            "password (hidden)\n(hidden)\npassword (hidden)\npassword (hidden)\n");
  EXPECT_EQ(without_passwords("kennwort = s3cret\ns3cret=\nquery = a\n"),
            "kennwort = (hidden)\n(hidden)= (hidden)\nquery = a\n");
  EXPECT_EQ(without_passwords("\n# the password is s3cret\nuser = u\n"), "\n# (hidden)\nuser = u\n");
}

TEST(LookupTable, PasswordsOfUrisAreNotKept) {
  EXPECT_EQ(without_passwords("hosts = postgresql://u:s3cret@a/d b\n  postgresql://u:p@ss@[::1]:5432\n"),
            "hosts = postgresql://(hidden)@a/d b\n  postgresql://(hidden)@[::1]:5432\n");
  EXPECT_EQ(without_passwords("hosts = postgresql:///d?user=u&password=s3cret&x=y, unix:/run/a@b"),
            "hosts = postgresql:///d?user=u&password=(hidden)&x=y, unix:/run/a@b");
}

TEST(LookupTable, WhatAPercentSignStandsFor) {
  EXPECT_EQ(unknown_placeholder("%s %S %u %U %d %D %1 %9 %% 100%%"), "");
  EXPECT_EQ(unknown_placeholder("a LIKE '%@x'"), "%@");
  EXPECT_EQ(unknown_placeholder("a LIKE 'a%'"), "%'");
  EXPECT_EQ(unknown_placeholder("%%%"), "%");
  EXPECT_EQ(unknown_placeholder("%0"), "%0");
  EXPECT_EQ(unknown_placeholder("%\xc3\xa9"), "%");
}

}  // namespace
}  // namespace replygate::test
