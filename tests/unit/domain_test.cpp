#include "policy/mail/domain.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

TEST(Domain, FoldsCaseAndOneTrailingDot) {
  EXPECT_EQ(canonical_domain("Example.ORG."), "example.org");
  EXPECT_EQ(canonical_domain("example.org.."), std::nullopt);
}

TEST(Domain, LiteralsAreNormalised) {
  EXPECT_EQ(canonical_domain("[192.0.2.1]"), "[192.0.2.1]");
  EXPECT_EQ(canonical_domain("[IPv6:2001:DB8:0:0::1]"), "[ipv6:2001:db8::1]");
  EXPECT_EQ(canonical_domain("[ipv6:::ffff:192.0.2.1]"), "[192.0.2.1]");
  for (const char* bad : {"[]", "[192.0.2]", "[2001:db8::1]", "[IPv6:192.0.2.1]", "[x]", "192.0.2.1", "[192.0.2.1"}) {
    EXPECT_EQ(canonical_domain(bad), std::nullopt) << bad;
  }
}

TEST(Domain, RefusesWhatIsNoName) {
  for (const char* bad : {"", ".", "a..b", ".a", "a b", "a@b", "a:25", "-a.example", "a-.example", "a\x01.example"}) {
    EXPECT_EQ(canonical_domain(bad), std::nullopt) << bad;
  }
}

TEST(Domain, OctetsBeyondAsciiExcuseNoSpecials) {
  for (const char* bad : {"\xc3\xa9\"a\".example", "\xae..example", "a\\\xae.example", "\xae:25"}) {
    EXPECT_EQ(canonical_domain(bad), std::nullopt) << bad;
  }
}

TEST(Domain, InvalidUtf8IsADomainOfItsOwn) { EXPECT_EQ(canonical_domain("\xff\xfe.example"), "\xff\xfe.example"); }

}  // namespace
}  // namespace replygate
