#include <gtest/gtest.h>

#include <random>
#include <set>

#include "milter/log/history_press.h"
#include "milter/log/history_run.h"
#include "milter/log/history_words.h"
#include "policy/decide/refs.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr WordKey kKey = {1, 2, 3};

TEST(HistoryWords, ReferencesShareAHashWithTheirNeighbours) {
  References references(12345);
  std::set<std::uint32_t> hashes;
  for (int i = 0; i < 6400; ++i) {
    const std::string ref = references.next();
    hashes.insert(hash_of_word(ref, kKey));
    EXPECT_EQ(hash_of_word(to_lower(ref), kKey), hash_of_word(ref, kKey));
  }
  EXPECT_GE(hashes.size(), 100U);
  EXPECT_LE(hashes.size(), 101U);
  // What only looks like one is a word like others.
  EXPECT_NE(hash_of_word("0123456789", kKey), hash_of_word("0123456788", kKey));
  EXPECT_NE(hash_of_word("0123456789", kKey), hash_of_word("012345678U", kKey));
  EXPECT_NE(hash_of_word("0123456789", kKey), hash_of_word("0123456789", {9}));
}

TEST(HistoryWords, WhatWasAppendedIsHashedAsAWordIs) {
  const std::vector<std::string> words = {"a", "Alice@B.Example", "0123456789", std::string(70'000, 'x'), "\xff\n"};
  std::string packed;
  append_word(packed, "");
  for (const std::string& word : words) append_word(packed, word);
  std::vector<std::uint32_t> hashes;
  append_hashes(hashes, packed, kKey);
  ASSERT_EQ(hashes.size(), words.size());
  for (std::size_t i = 0; i < words.size(); ++i) EXPECT_EQ(hashes[i], hash_of_word(words[i], kKey));
  append_hashes(hashes,
                std::string("\xff\xff"
                            "abc"),
                kKey);  // one that is cut
}

TEST(HistoryWords, LinesAreRecordsThatHaveTheWordItself) {
  const std::string text =
      "{\"sender\":\"alice@b.example\",\"n\":1}\n"
      "{\"sender\":\"xalice@b.example\",\"subject\":\"alice@b.example\"}\n"
      "{\"recipients\":[{\"ref\":\"R1\",\"recipient\":\"Alice@b.example\"},{}],\"n\":2}\n"
      "no JSON \"alice@b.example\"\n"
      "[\"alice@b.example\"]\n"
      "{\"user\":\"J\xc3\xbcrgen\",\"sender\":\"a\\\"b\"}\n";
  const std::vector<std::string> found = lines_with(text, "ALICE@b.example", 10);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_TRUE(found[0].ends_with("\"n\":2}"));
  EXPECT_TRUE(found[1].ends_with("\"n\":1}"));
  EXPECT_EQ(lines_with(text, "alice@b.example", 1).size(), 1U);
  EXPECT_EQ(lines_with(text, "r1", 10).size(), 1U);
  EXPECT_EQ(lines_with(text, "J\xc3\xbcrgen", 10).size(), 1U);
  EXPECT_EQ(lines_with(text, "a\"b", 10).size(), 1U);
  EXPECT_TRUE(lines_with(text, "a b", 10).empty());
  EXPECT_TRUE(lines_with("", "alice@b.example", 10).empty());
  EXPECT_TRUE(lines_with("", "a b", 10).empty());
  EXPECT_EQ(lines_with("{\"user\":\"u\"}", "u", 10), std::vector<std::string>{"{\"user\":\"u\"}"});
}

// As a record has it: what is no UTF-8 is written otherwise, and what is long is cut.
TEST(HistoryWords, AWordIsFoundAsItIsWritten) {
  const std::string longest(2000, 'l');
  const std::string text = "{\"user\":\"x\\\\xff\"}\n{\"sender\":\"" + std::string(500, 'l') + "...\",\"n\":1}\n";
  EXPECT_EQ(lines_with(text, "x\xff", 10).size(), 1U);
  EXPECT_EQ(lines_with(text, longest, 10).size(), 1U);
}

TEST(HistoryRuns, PagesHaveWhatWasAdded) {
  std::mt19937_64 random(1);
  for (const std::uint32_t hashes : {1U, 50U, 100'000U, 0xffffffffU}) {
    std::vector<WordPlace> places;
    for (std::uint32_t block = 0; block < 500; ++block) {
      for (int i = 0; i < 100; ++i) places.push_back(word_place(static_cast<std::uint32_t>(random() % hashes), block));
    }
    places.push_back(word_place(0xffffffffU, 0xffffffffU));
    std::vector<WordPlace> sorted = places;
    std::ranges::sort(sorted);
    sorted.erase(std::ranges::unique(sorted).begin(), sorted.end());
    std::vector<WordPlace> spare;
    sort_places(places, spare);
    // A block may have a word twice, apart.
    places.erase(std::ranges::unique(places).begin(), places.end());
    std::vector<WordPlace> read;
    std::size_t octets = 0;
    std::int64_t last = -1;
    RunPages pages([&](std::uint32_t first, std::string_view page) {
      EXPECT_GT(std::int64_t{first}, last);
      last = first;
      octets += page.size();
      read_page(first, page, read);
      return true;
    });
    for (const WordPlace place : places) ASSERT_TRUE(pages.add(place));
    ASSERT_TRUE(pages.end());
    EXPECT_EQ(read, places);
    EXPECT_EQ(std::set(read.begin(), read.end()), std::set(sorted.begin(), sorted.end()));
    EXPECT_EQ(pages.places(), static_cast<std::int64_t>(places.size()));
    EXPECT_LT(octets, places.size() * 6 + 10);
  }
}

TEST(HistoryRuns, WhatIsNoPageHasWhatCanBeRead) {
  std::vector<WordPlace> places;
  read_page(7, "", places);
  EXPECT_TRUE(places.empty());
  read_page(7, std::string("\0\x05\x01", 3), places);
  EXPECT_EQ(places, std::vector<WordPlace>{word_place(7, 5)});
  places.clear();
  read_page(7, std::string(100, '\xff'), places);
  EXPECT_TRUE(places.empty());
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    std::string page(random() % 50, ' ');
    for (char& c : page) c = static_cast<char>(random());
    read_page(static_cast<std::uint32_t>(random()), page, places);
  }
}

TEST(HistoryPress, GivesTheTextAgainOrNothing) {
  Press press;
  const std::string text(300'000, 'x');
  const std::string pressed(press.press(text));
  EXPECT_LT(pressed.size(), 1000U);
  EXPECT_EQ(unpress(pressed), text);
  EXPECT_EQ(unpress(press.press("")), "");
  for (std::size_t i = 0; i < pressed.size(); ++i) {
    EXPECT_EQ(unpress(pressed.substr(0, i)), "");
    std::string wrong = pressed;
    wrong[i] = static_cast<char>(wrong[i] ^ 0x10);
    EXPECT_TRUE(unpress(wrong).empty() || unpress(wrong) == text) << i;
  }
  EXPECT_EQ(unpress("no block"), "");
  EXPECT_EQ(unpress(press.press(std::string((32U << 20U) + 1, 'x'))), "");
}

}  // namespace
}  // namespace replygate
