#include "policy/catalogue/reply.h"

#include <gtest/gtest.h>

#include <random>

namespace replygate {
namespace {

std::optional<Reply> reply(int code, EnhancedCode enhanced, std::vector<std::string> lines, std::size_t reserve = 0) {
  return Reply::make(code, enhanced, lines, reserve);
}

TEST(Reply, CannotContradictItself) {
  EXPECT_FALSE(reply(550, {4, 7, 1}, {"x"}));
  EXPECT_FALSE(reply(450, {5, 7, 1}, {"x"}));
  EXPECT_FALSE(reply(550, {2, 0, 0}, {"x"}));
  EXPECT_FALSE(reply(250, {2, 0, 0}, {"x"}));
  EXPECT_FALSE(reply(354, {4, 0, 0}, {"x"}));
  EXPECT_FALSE(reply(600, {5, 0, 0}, {"x"}));
  EXPECT_TRUE(reply(499, {4, 999, 999}, {"x"}));
}

TEST(Reply, OnTheWire) {
  const Reply r = reply(571, {5, 7, 1}, {"first", "last"}).value();
  EXPECT_EQ(r.wire(), "571-5.7.1 first\r\n571 5.7.1 last");
  EXPECT_EQ(r.one_line(), "571 5.7.1 first last");
}

TEST(Reply, TextIsData) {
  const Reply r = reply(550, {5, 7, 1}, {"a\r\nb\x01\x7f\xc3\xa9%s"}).value();
  EXPECT_EQ(r.text(), "a??b????%s");
  EXPECT_EQ(reply(550, {5, 7, 1}, {""})->text(), "-");
  EXPECT_EQ(reply(450, {4, 7, 1}, {})->text(), "Try again later");
}

TEST(Reply, LinesFitTheProtocol) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<std::string> lines(random() % 40);
    for (std::string& line : lines) {
      line.resize(random() % 2000);
      for (char& c : line) c = static_cast<char>(random());
    }
    const std::size_t reserve = random() % 600;
    const Reply r = reply(550, {5, 999, 999}, lines, reserve).value();
    EXPECT_LE(r.lines().size(), Reply::kMostLines);
    for (const std::string& line : r.lines()) {
      EXPECT_LE(line.size() + prefix_size(r.enhanced()) + 2, Reply::kMostOctets);
      EXPECT_FALSE(line.empty());
      for (const char c : line) EXPECT_TRUE(c >= 0x20 && c < 0x7f);
    }
    if (reserve <= 200) {
      EXPECT_LE(r.lines().front().size() + prefix_size(r.enhanced()) + 2 + reserve, Reply::kMostOctets);
    }
  }
}

}  // namespace
}  // namespace replygate
