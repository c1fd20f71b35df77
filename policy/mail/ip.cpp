#include "policy/mail/ip.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr unsigned kMappedBits = 96;  // of ::ffff:0:0, under which IPv4 is kept
constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Bytes with the bits from `length` on set to `ones`.
IpAddress fill(IpAddress address, unsigned length, bool ones) {
  IpAddress::Bytes bytes = address.bytes();
  for (unsigned i = 0; i < bytes.size(); ++i) {
    const unsigned kept = length > i * 8 ? std::min(length - i * 8, 8U) : 0;
    const auto mask = static_cast<std::uint8_t>(0xff00U >> kept);
    bytes[i] = static_cast<std::uint8_t>(bytes[i] & mask);
    if (ones) bytes[i] = static_cast<std::uint8_t>(bytes[i] | static_cast<std::uint8_t>(~mask));
  }
  return IpAddress(bytes);
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
  Bytes bytes{};
  std::ranges::copy(kMapped, bytes.begin());
  for (unsigned i = 0; i < 4; ++i) bytes[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return IpAddress(bytes);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (text.size() > 5 && equal_ignoring_case(text.substr(0, 5), "IPv6:")) text.remove_prefix(5);
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.empty() || text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
  std::ranges::copy(text, buffer.begin());
  Bytes bytes{};
  if (inet_pton(AF_INET6, buffer.data(), bytes.data()) == 1) return IpAddress(bytes);
  std::ranges::copy(kMapped, bytes.begin());
  if (inet_pton(AF_INET, buffer.data(), bytes.data() + kMapped.size()) == 1) return IpAddress(bytes);
  return std::nullopt;
}

bool IpAddress::is_v4() const { return std::equal(kMapped.begin(), kMapped.end(), bytes_.begin()); }

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (is_v4()) {
    inet_ntop(AF_INET, bytes_.data() + kMapped.size(), buffer.data(), buffer.size());
  } else {
    inet_ntop(AF_INET6, bytes_.data(), buffer.data(), buffer.size());
  }
  return buffer.data();
}

std::optional<IpAddress> next_address(const IpAddress& address) {
  IpAddress::Bytes bytes = address.bytes();
  for (std::size_t i = bytes.size(); i-- > 0;) {
    if (++bytes[i] != 0) return IpAddress(bytes);
  }
  return std::nullopt;
}

std::optional<IpAddress> previous_address(const IpAddress& address) {
  IpAddress::Bytes bytes = address.bytes();
  for (std::size_t i = bytes.size(); i-- > 0;) {
    if (bytes[i]-- != 0) return IpAddress(bytes);
  }
  return std::nullopt;
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const auto address = IpAddress::parse(text.substr(0, slash));
  if (!address) return std::nullopt;
  const unsigned most = address->is_v4() && text.find(':') == std::string_view::npos ? 32 : 128;
  unsigned length = most;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > most) return std::nullopt;
  }
  return IpNetwork(*address, length + 128 - most);
}

IpNetwork IpNetwork::around(IpAddress address, unsigned length) {
  const unsigned bits = address.is_v4() ? length + 96 : length;
  return {fill(address, bits, false), bits};
}

bool IpNetwork::contains(IpAddress address) const {
  if (address.is_v4() && !is_v4()) return false;
  return fill(address, length_, false) == first();
}

std::array<std::optional<IpNetwork::Range>, 2> IpNetwork::ranges() const {
  const IpAddress begin = first();
  const IpAddress end = last();
  const IpAddress four_begin = IpAddress::v4(0);
  const IpAddress four_end = IpAddress::v4(~std::uint32_t{0});
  if (is_v4() || end < four_begin || begin > four_end) return {Range{begin, end}, std::nullopt};
  std::array<std::optional<Range>, 2> around;
  if (begin < four_begin) around[0] = Range{begin, *previous_address(four_begin)};
  if (end > four_end) around[1] = Range{*next_address(four_end), end};
  return around;
}

bool IpNetwork::is_v4() const { return address_.is_v4() && length_ >= kMappedBits; }
IpAddress IpNetwork::first() const { return fill(address_, length_, false); }
IpAddress IpNetwork::last() const { return fill(address_, length_, true); }

std::string IpNetwork::text() const {
  return fmt::format("{}/{}", first().text(), is_v4() ? length_ - kMappedBits : length_);
}

void NetworkSet::add(const IpNetwork& network) {
  for (const auto& range : network.ranges()) {
    if (range) ranges_.push_back(*range);
  }
}

void NetworkSet::add_all(const NetworkSet& other) {
  ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
}

void NetworkSet::seal() {
  std::ranges::sort(ranges_);
  std::vector<std::pair<IpAddress, IpAddress>> merged;
  for (const auto& range : ranges_) {
    if (!merged.empty() && range.first <= merged.back().second) {
      merged.back().second = std::max(merged.back().second, range.second);
    } else {
      merged.push_back(range);
    }
  }
  ranges_ = std::move(merged);
}

bool NetworkSet::contains(IpAddress address) const {
  const auto after = std::ranges::upper_bound(ranges_, address, {}, &std::pair<IpAddress, IpAddress>::first);
  return after != ranges_.begin() && address <= std::prev(after)->second;
}

}  // namespace replygate
