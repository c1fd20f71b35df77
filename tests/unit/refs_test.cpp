#include "policy/decide/refs.h"

#include <gtest/gtest.h>

#include <set>

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

}  // namespace
}  // namespace replygate
