#include "policy/mail/ip.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace replygate {
namespace {

IpAddress ip(std::string_view text) { return IpAddress::parse(text).value(); }

TEST(IpAddress, MappedAndPlainAreOneClient) {
  EXPECT_EQ(ip("::ffff:192.0.2.7"), ip("192.0.2.7"));
  EXPECT_EQ(ip("IPv6:0:0:0:0:0:0:0:1"), ip("::1"));
  EXPECT_NE(ip("64:ff9b::c000:207"), ip("192.0.2.7"));
  EXPECT_EQ(IpAddress::v4(0xC0000207), ip("192.0.2.7"));
}

TEST(IpAddress, PrintsCanonically) {
  EXPECT_EQ(ip("::ffff:192.0.2.7").text(), "192.0.2.7");
  EXPECT_EQ(ip("2001:DB8:0:0:0:0:0:1").text(), "2001:db8::1");
}

TEST(IpAddress, RefusesTheRest) {
  for (const char* bad : {"", "192.0.2", "192.0.2.256", "01.2.3.4", "::1%lo", "[::1]", " 192.0.2.1", "2130706433"}) {
    EXPECT_FALSE(IpAddress::parse(bad)) << bad;
  }
}

TEST(IpNetwork, ContainsToTheBit) {
  const auto network = IpNetwork::parse("192.0.2.64/26").value();
  EXPECT_FALSE(network.contains(ip("192.0.2.63")));
  EXPECT_TRUE(network.contains(ip("192.0.2.64")));
  EXPECT_TRUE(network.contains(ip("::ffff:192.0.2.127")));
  EXPECT_FALSE(network.contains(ip("192.0.2.128")));
  EXPECT_FALSE(network.has_host_bits());
  EXPECT_TRUE(IpNetwork::parse("192.0.2.65/26")->has_host_bits());
  EXPECT_EQ(IpNetwork::parse("192.0.2.65/26")->text(), "192.0.2.64/26");
  EXPECT_TRUE(IpNetwork::parse("0.0.0.0/0")->contains(ip("8.8.8.8")));
  EXPECT_FALSE(IpNetwork::parse("0.0.0.0/0")->contains(ip("2001:db8::1")));
}

TEST(IpNetwork, RefusesTheRest) {
  for (const char* bad : {"192.0.2.0/33", "192.0.2.0/", "192.0.2.0/-1", "2001:db8::/129", "/24", "192.0.2.0/24x"}) {
    EXPECT_FALSE(IpNetwork::parse(bad)) << bad;
  }
}

TEST(IpNetwork, AroundCutsByFamily) {
  EXPECT_EQ(IpNetwork::around(ip("192.0.2.77"), 24).text(), "192.0.2.0/24");
  EXPECT_EQ(IpNetwork::around(ip("2001:db8:1:2:3::4"), 64).text(), "2001:db8:1:2::/64");
}

// IPv4 is kept among IPv6 addresses, which must not show.
TEST(NetworkSet, NoIpv6NetworkCoversIpv4) {
  for (const char* text :
       {"::/0", "::/1", "::/16", "::/64", "::/80", "::ffff:0:0/80", "::8000:0:0/81", "::c000:0:0/82"}) {
    const auto network = IpNetwork::parse(text).value();
    NetworkSet set;
    set.add(network);
    set.seal();
    for (const char* four : {"0.0.0.0", "127.0.0.1", "192.0.2.1", "255.255.255.255"}) {
      EXPECT_FALSE(network.contains(ip(four))) << text << ' ' << four;
      EXPECT_FALSE(set.contains(ip(four))) << text << ' ' << four;
    }
    for (const IpAddress& end : {network.first(), network.last()}) {
      EXPECT_EQ(network.contains(end), !end.is_v4()) << text;
      EXPECT_EQ(set.contains(end), !end.is_v4()) << text;
    }
  }
  NetworkSet six;
  six.add(IpNetwork::parse("::/0").value());
  six.seal();
  EXPECT_TRUE(six.contains(ip("::fffe:ffff:ffff")));
  EXPECT_TRUE(six.contains(ip("::1:0:0:0")));
  EXPECT_EQ(IpNetwork::parse("::/0")->text(), "::/0");
  NetworkSet four;
  four.add(IpNetwork::parse("::ffff:0:0/96").value());
  four.seal();
  EXPECT_TRUE(four.contains(ip("192.0.2.1")));
  EXPECT_FALSE(four.contains(ip("::1")));
}

TEST(NetworkSet, FindsAmongOverlappingNetworks) {
  NetworkSet set;
  for (const char* text : {"10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "10.255.255.0/24"}) {
    set.add(IpNetwork::parse(text).value());
  }
  set.seal();
  for (const char* inside : {"10.0.0.0", "10.1.2.3", "10.255.255.255", "192.0.2.7", "2001:db8:ffff::1"}) {
    EXPECT_TRUE(set.contains(ip(inside))) << inside;
  }
  for (const char* outside : {"9.255.255.255", "11.0.0.0", "192.0.2.6", "192.0.2.8", "2001:db9::", "::"}) {
    EXPECT_FALSE(set.contains(ip(outside))) << outside;
  }
  EXPECT_FALSE(NetworkSet().contains(ip("::")));
}

// Networks of both families, near to each other.
IpNetwork some_network(std::minstd_rand& random) {
  IpAddress::Bytes bytes{};
  bytes[10] = bytes[11] = random() % 2 == 0 ? 0xff : 0;
  for (std::size_t i = 12; i < 16; ++i) bytes[i] = static_cast<std::uint8_t>(random() % 3 * 64);
  const IpAddress address(bytes);
  return IpNetwork::around(address, static_cast<unsigned>(address.is_v4() ? 8 + random() % 25 : 100 + random() % 29));
}

TEST(NetworkSet, HasWhatItsNetworksHave) {
  std::minstd_rand random(11);
  for (int round = 0; round < 100; ++round) {
    std::vector<IpNetwork> networks;
    NetworkSet one;
    NetworkSet other;
    for (std::size_t i = random() % 30; i > 0; --i) {
      networks.push_back(some_network(random));
      (i % 2 == 0 ? one : other).add(networks.back());
    }
    one.add_all(other);
    one.seal();
    for (int i = 0; i < 300; ++i) {
      const IpAddress address = some_network(random).last();
      const auto has = [&](const IpNetwork& network) { return network.contains(address); };
      ASSERT_EQ(one.contains(address), std::ranges::any_of(networks, has)) << address.text();
    }
    std::size_t ranges = 0;
    one.each_range([&](const IpAddress& first, const IpAddress& last) {
      ++ranges;
      ASSERT_TRUE(first <= last && one.contains(first) && one.contains(last));
    });
    EXPECT_EQ(ranges, one.size());
  }
}

// Written as most are, an address takes a short way; it must lead where the long one does.
TEST(IpAddress, ReadsQuadsAsTheSystemDoes) {
  std::minstd_rand random(3);
  for (int i = 0; i < 20000; ++i) {
    std::string text;
    for (std::size_t length = 7 + random() % 9; text.size() < length;) text += "0123456789......x"[random() % 17];
    if (i % 2 == 0) text = fmt::format("{}.{}.0{}.{}", random() % 300, random() % 256, random() % 30, random() % 256);
    if (i % 4 == 0) text.erase(text.find(".0") + 1, 1);
    in_addr address{};
    const bool is_one = inet_pton(AF_INET, text.c_str(), &address) == 1;
    const auto read = IpAddress::parse(text);
    ASSERT_EQ(read.has_value(), is_one) << text;
    if (!is_one) continue;
    ASSERT_EQ(*read, IpAddress::v4(ntohl(address.s_addr))) << text;
  }
}

}  // namespace
}  // namespace replygate
