#include "policy/rules/match.h"

#include <gtest/gtest.h>

#include "policy/rules/kept_truths.h"

namespace replygate {
namespace {

TextSet one(void (*fill)(TextSet&)) {
  TextSet set;
  fill(set);
  return set;
}

TEST(TextSet, Exact) {
  const TextSet set = one([](TextSet& s) { s.add_exact("a@b.example"); });
  EXPECT_TRUE(set.contains("a@b.example"));
  EXPECT_FALSE(set.contains("xa@b.example"));
  EXPECT_FALSE(set.contains("a@b.example."));
}

TEST(TextSet, DomainTree) {
  const TextSet set = one([](TextSet& s) { s.add_domain_tree("example.org"); });
  for (const char* in : {"example.org", "a.example.org", "x@example.org", "x@b.a.example.org"}) {
    EXPECT_TRUE(set.contains(in)) << in;
  }
  for (const char* out : {"badexample.org", "example.org.evil", "org", "", "x@badexample.org", "example.org@x"}) {
    EXPECT_FALSE(set.contains(out)) << out;
  }
}

TEST(TextSet, PartsOfAddresses) {
  const TextSet set = one([](TextSet& s) {
    s.add_at_domain("example.org");
    s.add_local("abuse");
  });
  EXPECT_TRUE(set.contains("x@example.org"));
  EXPECT_TRUE(set.contains("abuse@anywhere.example"));
  EXPECT_FALSE(set.contains("x@sub.example.org"));
  EXPECT_FALSE(set.contains("example.org"));
  EXPECT_FALSE(set.contains("abuse"));
}

TEST(TextSet, GlobsCoverTheWhole) {
  const TextSet set = one([](TextSet& s) { s.add_glob("news-*@?.example"); });
  EXPECT_TRUE(set.contains("news-@a.example"));
  EXPECT_TRUE(set.contains("news-1\n2@a.example"));
  EXPECT_FALSE(set.contains("xnews-1@a.example"));
  EXPECT_FALSE(set.contains("news-1@ab.example"));
  EXPECT_FALSE(set.contains("news-1@axexample"));  // '.' is no wildcard
}

TEST(TextSet, ExpressionsIgnoreCaseAndReportMistakes) {
  TextSet set;
  EXPECT_EQ(set.add_regex("^dhcp-[0-9]+\\."), std::nullopt);
  EXPECT_TRUE(set.contains("dhcp-12.example"));
  EXPECT_FALSE(set.contains("xdhcp-12.example"));
  const auto why = set.add_regex("a(b");
  ASSERT_TRUE(why);
  EXPECT_NE(why->find("missing )"), std::string::npos);
}

// KELVIN SIGN is no k, LONG S no s, also in an expression with letters beyond ASCII.
TEST(TextSet, ExpressionsHaveNoLookAlikes) {
  const TextSet letters = one([](TextSet& s) { s.add_regex("^(kö|sö|[k-s]ü)"); });
  EXPECT_TRUE(letters.contains("kö"));
  EXPECT_TRUE(letters.contains("sü"));
  EXPECT_FALSE(letters.contains("\xe2\x84\xaaö"));
  EXPECT_FALSE(letters.contains("\xc5\xbfö"));
  EXPECT_FALSE(letters.contains("\xe2\x84\xaaü"));
  const TextSet signs = one([](TextSet& s) { s.add_regex("^(\xe2\x84\xaa|\xc5\xbf)ö$"); });
  EXPECT_TRUE(signs.contains("\xe2\x84\xaaö"));
  EXPECT_TRUE(signs.contains("\xc5\xbfö"));
  EXPECT_FALSE(signs.contains("kö"));
  EXPECT_FALSE(signs.contains("sö"));
}

// Texts in UTF-8 are searched letter by letter, others octet by octet, whatever the expression is written in.
TEST(TextSet, ExpressionsKnowLetters) {
  const auto found = [](const char* expression, std::string_view text) {
    TextSet set;
    EXPECT_EQ(set.add_regex(expression), std::nullopt);
    return set.contains(text);
  };
  EXPECT_TRUE(found("\\p{Cyrillic}", "купить"));
  EXPECT_TRUE(found("^\\p{L}+$", "ärger"));
  EXPECT_TRUE(found("^.{5}$", "ärger"));
  EXPECT_TRUE(found("^\\x{e4}rger", "ärger"));
  EXPECT_TRUE(found("^[^k]elvin$",
                    "\xe2\x84\xaa"
                    "elvin"));
  EXPECT_TRUE(found("^[^[:ascii:]]rger", "ärger"));
  EXPECT_FALSE(found("\\x{e4}", "中文"));
  EXPECT_FALSE(found("\\xe4", "ā"));
  EXPECT_FALSE(found("^\\p{Han}", "ärger"));
  EXPECT_TRUE(found("^\\xe4rger", "\xe4rger"));
  EXPECT_TRUE(found("^.rger$", "\xe4rger"));
}

TEST(TextSet, ExpressionsAreComposed) {
  const TextSet set = one([](TextSet& s) { s.add_regex("^ju\xcc\x88rgen$"); });
  EXPECT_TRUE(set.contains("jürgen"));
  EXPECT_FALSE(set.contains("jurgen"));
}

TEST(TextSet, SetsOfSets) {
  auto inner = std::make_shared<TextSet>();
  EXPECT_TRUE(inner->empty());
  inner->add_exact("x");
  TextSet outer;
  EXPECT_TRUE(outer.empty());
  outer.add_set(inner);
  EXPECT_FALSE(outer.empty());
  EXPECT_TRUE(outer.contains("x"));
}

TEST(Matches, UnknownIsNeitherYesNorNo) {
  EXPECT_EQ(matches(Matcher(true), Value()), Truth::unknown);
  EXPECT_EQ(matches(Matcher(std::vector<NumberRange>{{1, 2}}), Value()), Truth::unknown);
}

TEST(Matches, Numbers) {
  const Matcher matcher(std::vector<NumberRange>{{5, 10}, {20, 20}});
  EXPECT_EQ(matches(matcher, Value(std::int64_t{4})), Truth::no);
  EXPECT_EQ(matches(matcher, Value(std::int64_t{5})), Truth::yes);
  EXPECT_EQ(matches(matcher, Value(std::int64_t{10})), Truth::yes);
  EXPECT_EQ(matches(matcher, Value(std::int64_t{20})), Truth::yes);
  EXPECT_EQ(matches(Matcher(std::vector<NumberRange>{{5, 5, true}}), Value(std::int64_t{5})), Truth::no);
}

TEST(Matches, NoAddressIsInNoNetwork) {
  NetworkSet set;
  set.add(IpNetwork::parse("::/0").value());
  set.seal();
  const Matcher matcher(std::make_shared<const NetworkSet>(std::move(set)));
  EXPECT_EQ(matches(matcher, Value(IpAddress())), Truth::yes);
  EXPECT_EQ(matches(matcher, Value(std::string_view())), Truth::no);
}

class Kleene : public ::testing::Test {
 protected:
  Condition known(bool wanted) { return {{Fact::tls, ""}, Matcher(wanted), ""}; }  // tls is false here
  Condition unknown() { return {{Fact::external, ""}, Matcher(true), ""}; }

  Connection connection_;
  Transaction transaction_;
  Recipient recipient_;
  Facts facts_{connection_, &transaction_, &recipient_};
};

TEST_F(Kleene, And) {
  EXPECT_EQ(all_hold({}, facts_), Truth::yes);
  EXPECT_EQ(all_hold({known(false), known(false)}, facts_), Truth::yes);
  EXPECT_EQ(all_hold({unknown(), known(true)}, facts_), Truth::no);
  EXPECT_EQ(all_hold({known(false), unknown()}, facts_), Truth::unknown);
}

TEST_F(Kleene, Or) {
  EXPECT_EQ(any_holds({}, facts_), Truth::no);
  EXPECT_EQ(any_holds({unknown(), known(false)}, facts_), Truth::yes);
  EXPECT_EQ(any_holds({known(true), unknown()}, facts_), Truth::unknown);
  EXPECT_EQ(any_holds({known(true)}, facts_), Truth::no);
}

TEST(KeptTruths, JudgeEachConditionOnce) {
  KeptTruths kept(3);
  int judged = 0;
  for (const std::uint32_t number : {0U, 2U, 2U, 0U, 1U, 2U}) {
    const Condition condition{.fact = {}, .matcher = true, .source = "", .kept_as = number};
    const auto judge = [&] {
      ++judged;
      return static_cast<Truth>(number);
    };
    EXPECT_EQ(kept.of(condition, judge), static_cast<Truth>(number));
  }
  EXPECT_EQ(judged, 3);
}

}  // namespace
}  // namespace replygate
