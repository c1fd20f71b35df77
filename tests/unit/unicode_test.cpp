#include "policy/mail/unicode.h"

#include <gtest/gtest.h>

#include "policy/mail/address.h"
#include "policy/mail/domain.h"

namespace replygate {
namespace {

TEST(Unicode, FoldsCaseAndComposes) {
  EXPECT_EQ(folded_utf8("JÜRGEN"), "jürgen");
  EXPECT_EQ(folded_utf8("ju\xcc\x88rgen"), "jürgen");  // u and combining diaeresis
  EXPECT_EQ(folded_utf8("JU\xcc\x88RGEN"), "jürgen");
  EXPECT_EQ(folded_utf8("ΣΊΣΥΦΟΣ"), "σίσυφοσ");
  EXPECT_EQ(folded_utf8("ДИМА"), "дима");
  EXPECT_EQ(folded_utf8("straße"), "straße");
  EXPECT_EQ(folded_utf8(""), "");
}

// KELVIN SIGN, LONG S, DOTTED I, GREEK QUESTION MARK and VARIA are signs of their own.
TEST(Unicode, NothingElseBecomesAscii) {
  for (const std::string_view sign : {"\xe2\x84\xaa", "\xc5\xbf", "\xc4\xb0", "\xcd\xbe", "\xe1\xbf\xaf"}) {
    const auto folded = folded_utf8(sign);
    ASSERT_TRUE(folded) << sign;
    for (const char c : *folded) EXPECT_LT(c, '\0') << sign;
    EXPECT_NE(canonical_domain(std::string(sign) + ".example"), "k.example");
  }
  EXPECT_EQ(folded_utf8("\xe2\x84\xaa\xc3\x9c"), "\xe2\x84\xaa\xc3\xbc");
}

// No language needs more; the time to order them grows with the square of their number.
TEST(Unicode, MoreThanThirtyMarksOnALetterStayAsTheyAre) {
  const auto marked = [](std::string_view marks, int times) {
    std::string text = "A";
    for (int i = 0; i < times; ++i) text += marks;
    return text;
  };
  constexpr std::string_view kAcuteAndDotBelow = "\xcc\x81\xcc\xa3";  // in the wrong order
  EXPECT_EQ(folded_utf8(marked(kAcuteAndDotBelow, 1)), "\xe1\xba\xa1\xcc\x81");
  EXPECT_NE(folded_utf8(marked(kAcuteAndDotBelow, 15)), "a" + marked(kAcuteAndDotBelow, 15).substr(1));
  EXPECT_EQ(folded_utf8(marked(kAcuteAndDotBelow, 16)), "a" + marked(kAcuteAndDotBelow, 16).substr(1));
  EXPECT_EQ(folded_utf8(marked(kAcuteAndDotBelow, 100000)), "a" + marked(kAcuteAndDotBelow, 100000).substr(1));
  constexpr std::string_view kVowelSignIi = "\xe0\xbd\xb3";  // of class 0, and two marks
  EXPECT_EQ(folded_utf8(marked(kVowelSignIi, 100000)), "a" + marked(kVowelSignIi, 100000).substr(1));
}

TEST(Unicode, WhatIsNoUtf8KeepsItsOctets) {
  EXPECT_EQ(folded_utf8("\xff\xfe"), std::nullopt);
  EXPECT_EQ(folded("A\xff\xfe"), "a\xff\xfe");
}

TEST(Unicode, SpellingsOfOneMailboxAreOneAddress) {
  const AddressContext context{.default_domain = "", .is_local = [](auto) { return false; }};
  const std::string one = canonical_address("<jürgen@example.org>", context).full;
  EXPECT_EQ(canonical_address("<JÜRGEN@EXAMPLE.org>", context).full, one);
  EXPECT_EQ(canonical_address("<ju\xcc\x88rgen@example.org>", context).full, one);
  EXPECT_NE(canonical_address("<\xe2\x84\xaa@example.org>", context).full, "k@example.org");
  EXPECT_NE(canonical_address("<a@\xe2\x84\xaa.example>", context).full, "a@k.example");
}

TEST(Unicode, LoginsAreFoldedLikeAddresses) {
  EXPECT_EQ(canonical_login("JÜRGEN@MÜNCHEN.example"), "jürgen@xn--mnchen-3ya.example");
  EXPECT_EQ(canonical_login("Alice"), "alice");
  EXPECT_EQ(canonical_login("A\\B"), "a\\b");
}

TEST(Unicode, ABeginningHasWholeCharacters) {
  EXPECT_EQ(whole_characters("abc", 3), "abc");
  EXPECT_EQ(whole_characters("abc", 2), "ab");
  EXPECT_EQ(whole_characters("a\u00e4c", 2), "a");
  EXPECT_EQ(whole_characters("a\u00e4c", 3), "a\u00e4");
  EXPECT_EQ(whole_characters("\u20ac", 2), "");
}

}  // namespace
}  // namespace replygate
