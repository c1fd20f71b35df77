#include "milter/door/asio/deadlines.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "milter/door/asio/input_buffer.h"

namespace replygate {
namespace {

using std::chrono::seconds;

struct Thing : Deadlines::Item {};

const Deadlines::Time kStart{std::chrono::hours(1)};

TEST(Deadlines, ComeExactlyThen) {
  Deadlines deadlines(seconds(20));
  Thing thing;
  deadlines.put_off(thing, kStart);
  EXPECT_EQ(deadlines.next(), kStart + seconds(20));
  EXPECT_EQ(deadlines.take_due(kStart + seconds(20) - std::chrono::nanoseconds(1)), nullptr);
  EXPECT_EQ(deadlines.take_due(kStart + seconds(20)), &thing);
  EXPECT_EQ(deadlines.take_due(kStart + seconds(99)), nullptr);
  EXPECT_EQ(deadlines.next(), std::nullopt);
}

TEST(Deadlines, ArePutOff) {
  Deadlines deadlines(seconds(20));
  Thing a;
  Thing b;
  deadlines.put_off(a, kStart);
  deadlines.put_off(b, kStart + seconds(1));
  deadlines.put_off(a, kStart + seconds(2));
  EXPECT_EQ(deadlines.take_due(kStart + seconds(30)), &b);
  EXPECT_EQ(deadlines.take_due(kStart + seconds(30)), &a);
}

TEST(Deadlines, AnItemIsInOneListAtATime) {
  Deadlines idle(seconds(100));
  Deadlines stalled(seconds(10));
  Thing thing;
  idle.put_off(thing, kStart);
  stalled.put_off(thing, kStart);
  EXPECT_EQ(idle.take_any(), nullptr);
  EXPECT_EQ(stalled.take_any(), &thing);
}

TEST(Deadlines, ForgetWhatEnds) {
  Deadlines deadlines(seconds(10));
  {
    Thing thing;
    deadlines.put_off(thing, kStart);
  }
  EXPECT_EQ(deadlines.next(), std::nullopt);
}

class Input : public testing::Test {
 protected:
  void put(std::string_view octets, std::size_t packet = 0) {
    while (!octets.empty()) {
      const std::span<char> room = buffer.prepare(shared_, packet);
      ASSERT_FALSE(room.empty());
      const std::size_t size = std::min(room.size(), octets.size());
      std::copy_n(octets.begin(), size, room.begin());
      buffer.received(size);
      octets.remove_prefix(size);
    }
  }
  void others_receive() {
    buffer.keep();
    std::ranges::fill(shared_, '#');
  }

  InputBuffer buffer;

 private:
  std::vector<char> shared_ = std::vector<char>(2000);
};

TEST_F(Input, KeepsWhatIsNotUsed) {
  put("abcdef");
  buffer.use(4);
  others_receive();
  put("ghi");
  EXPECT_EQ(buffer.octets(), "efghi");
  buffer.use(1);
  others_receive();
  put("jkl");
  EXPECT_EQ(buffer.octets(), "fghijkl");
}

TEST_F(Input, HasMemoryOfItsOwnOnlyWhileSomethingIsLeft) {
  put("abcdef");
  EXPECT_EQ(buffer.capacity(), 0);
  buffer.use(4);
  others_receive();
  EXPECT_EQ(buffer.capacity(), 2);
  put("gh");
  buffer.use(4);
  others_receive();
  EXPECT_EQ(buffer.capacity(), 0);
  EXPECT_TRUE(buffer.empty());
}

TEST_F(Input, GrowsToThePacket) {
  const std::string big(200000, 'x');
  put("abc");
  others_receive();
  put(big, big.size() + 3);
  EXPECT_EQ(buffer.octets(), "abc" + big);
  EXPECT_EQ(buffer.capacity(), big.size() + 3);
  buffer.use(big.size() + 2);
  others_receive();
  put("yz", 3);
  EXPECT_EQ(buffer.octets(), "xyz");
}

}  // namespace
}  // namespace replygate
