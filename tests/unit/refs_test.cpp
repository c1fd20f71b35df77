#include "policy/decide/refs.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "policy/mail/text.h"

namespace replygate {
namespace {

TEST(References, DoNotRepeatAndSayNothing) {
  References references(42);
  std::set<std::string> seen;
  for (int i = 0; i < 100000; ++i) {
    const std::string ref = references.next();
    EXPECT_EQ(ref.size(), 10U);
    EXPECT_EQ(ref.find_first_not_of("0123456789ABCDEFGHJKMNPQRSTVWXYZ"), std::string::npos);
    EXPECT_TRUE(seen.insert(ref).second);
  }
}

TEST(References, AreNumberedInTheOrderInWhichTheyAreMade) {
  constexpr std::uint64_t kFirst = (std::uint64_t{1} << 50) - 2;
  References references(kFirst);
  for (const std::uint64_t number : {kFirst, kFirst + 1, std::uint64_t{0}, std::uint64_t{1}}) {
    const std::string ref = references.next();
    EXPECT_EQ(References::number_of(ref), number) << ref;
    EXPECT_EQ(References::number_of(to_lower(ref)), number) << ref;
  }
  for (const std::string_view other : {"", "0123456789A", "01234 6789", "0123456I89"}) {
    EXPECT_EQ(References::number_of(other), std::nullopt) << other;
  }
}

}  // namespace
}  // namespace replygate
