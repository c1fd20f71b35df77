#include "policy/rules/packed_texts.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace replygate {
namespace {

using Random = std::minstd_rand;

// Of few letters, so that some come twice, and now and then of a length that takes two octets.
std::string some_text(Random& random) {
  const std::size_t length = random() % 50 == 0 ? 120 + random() % 20000 : random() % 7;
  std::string text(length, ' ');
  for (char& c : text) c = static_cast<char>(random() % 4 * 85);
  return text;
}

TEST(PackedTexts, HasNothingAtFirst) {
  const PackedTexts none;
  EXPECT_TRUE(none.empty());
  EXPECT_FALSE(none.contains(""));
  EXPECT_EQ(none.begin(), none.end());
}

TEST(PackedTexts, HasTheEmptyTextWhereItWasPutIn) {
  PackedTexts texts;
  texts.insert("");
  EXPECT_TRUE(texts.contains(""));
  EXPECT_FALSE(texts.contains("a"));
  EXPECT_EQ(std::vector<std::string_view>(texts.begin(), texts.end()), std::vector<std::string_view>{""});
}

TEST(PackedTexts, HasWhatASetHas) {
  Random random(7);
  for (int round = 0; round < 200; ++round) {
    PackedTexts texts;
    std::set<std::string, std::less<>> known;
    const std::size_t count = random() % 400;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string text = some_text(random);
      texts.insert(text);
      known.insert(text);
    }
    ASSERT_EQ(texts.size(), known.size());
    for (const std::string& text : known) ASSERT_TRUE(texts.contains(text));
    for (int i = 0; i < 200; ++i) {
      const std::string text = some_text(random);
      ASSERT_EQ(texts.contains(text), known.contains(text));
    }
    const std::set<std::string, std::less<>> listed(texts.begin(), texts.end());
    ASSERT_EQ(listed, known);
  }
}

TEST(PackedTexts, KeepsTheOrderInWhichTextsCame) {
  PackedTexts texts;
  for (const std::string_view text : {"b", "a", "b", "c"}) texts.insert(text);
  EXPECT_EQ(std::vector<std::string_view>(texts.begin(), texts.end()), (std::vector<std::string_view>{"b", "a", "c"}));
}

}  // namespace
}  // namespace replygate
