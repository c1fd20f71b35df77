#include "policy/mail/text.h"

#include <gtest/gtest.h>

#include <array>

namespace replygate {
namespace {

TEST(Text, Splits) {
  EXPECT_EQ(split("a, b ,,c", ','), (std::vector<std::string_view>{"a", "b", "", "c"}));
  EXPECT_EQ(split("", ','), (std::vector<std::string_view>{""}));
}

TEST(Text, Joins) {
  const std::array<std::string_view, 3> words = {"a", "b", "c"};
  EXPECT_EQ(join_or(words), "a, b or c");
  EXPECT_EQ(join_or(std::span(words).first(1)), "a");
}

TEST(Text, NearestFindsTypingErrorsAlone) {
  const std::array<std::string_view, 3> words = {"recipients", "recipient", "sender"};
  EXPECT_EQ(nearest("recipents", words), "recipients");
  EXPECT_EQ(nearest("sedner", words), "sender");
  EXPECT_EQ(nearest("zzzzzz", words), "");
}

TEST(LinesOf, NeedNoLastLineFeed) {
  EXPECT_EQ(lines_of(""), std::vector<std::string>());
  EXPECT_EQ(lines_of("a\n\nb"), (std::vector<std::string>{"a", "", "b"}));
  EXPECT_EQ(lines_of("a\nb\n"), (std::vector<std::string>{"a", "b"}));
}

// Each octet at each place of each length, beside the same asked octet by octet.
TEST(Text, IsLowerAscii) {
  for (std::size_t size = 1; size <= 20; ++size) {
    for (std::size_t at = 0; at < size; ++at) {
      for (int octet = 0; octet < 256; ++octet) {
        std::string text(size, 'z');
        text[at] = static_cast<char>(octet);
        EXPECT_EQ(is_lower_ascii(text), octet < 128 && (octet < 'A' || octet > 'Z')) << octet << " at " << at;
      }
    }
  }
  EXPECT_TRUE(is_lower_ascii(""));
}

TEST(Text, WhatStrangersWroteCommandsNoTerminal) {
  EXPECT_EQ(without_controls("a\tb\x1b[2J\x7f"), "a?b?[2J?");
  EXPECT_EQ(without_controls("C1 \x9b"
                             "31m, \xc2\x9b"
                             "31m"),
            "C1 ?31m, ?31m");
  EXPECT_EQ(without_controls("\xe2\x80\xae"
                             "exe.txt\xe2\x81\xa9"),
            "?exe.txt?");  // U+202E, U+2069
  EXPECT_EQ(without_controls("a\xe2\x80\xa8"
                             "b"),
            "a?b");  // U+2028
  EXPECT_EQ(without_controls("Grüße, 日本"), "Grüße, 日本");
  EXPECT_EQ(without_controls("cut \xe6\x97"), "cut ??");
}

}  // namespace
}  // namespace replygate
