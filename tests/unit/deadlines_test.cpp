#include "milter/door/asio/deadlines.h"

#include <gtest/gtest.h>

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

void put(InputBuffer& buffer, std::string_view octets, std::size_t packet = 0) {
  while (!octets.empty()) {
    const std::span<char> room = buffer.prepare(packet);
    ASSERT_FALSE(room.empty());
    const std::size_t size = std::min(room.size(), octets.size());
    std::copy_n(octets.begin(), size, room.begin());
    buffer.received(size);
    octets.remove_prefix(size);
  }
}

TEST(InputBuffer, KeepsWhatIsNotUsed) {
  InputBuffer buffer;
  put(buffer, "abcdef");
  buffer.use(4);
  put(buffer, "ghi");
  EXPECT_EQ(buffer.octets(), "efghi");
}

TEST(InputBuffer, GrowsToThePacketAndShrinksBehindIt) {
  InputBuffer buffer;
  const std::string big(200000, 'x');
  put(buffer, "abc");
  put(buffer, big, big.size() + 3);
  EXPECT_EQ(buffer.octets(), "abc" + big);
  EXPECT_EQ(buffer.capacity(), big.size() + 3);
  buffer.use(big.size() + 3);
  put(buffer, "abc");
  put(buffer, "def");
  buffer.use(6);
  put(buffer, "ghi");
  EXPECT_LE(buffer.capacity(), InputBuffer::kBusy);
  buffer.use(3);
  EXPECT_EQ(buffer.prepare(0).size(), InputBuffer::kSmall);
}

TEST(InputBuffer, GrowsWhileMuchComes) {
  InputBuffer buffer;
  for (int i = 0; i < 10; ++i) {
    const std::size_t room = buffer.prepare(0).size();
    buffer.received(room);
    buffer.use(room);
  }
  EXPECT_EQ(buffer.prepare(0).size(), InputBuffer::kBusy);
  buffer.received(10);
  buffer.use(10);
  EXPECT_EQ(buffer.prepare(0).size(), InputBuffer::kSmall);
}

}  // namespace
}  // namespace replygate
