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
  if (length >= bytes.size() * 8) return address;
  const auto whole = length / 8;
  const auto mask = static_cast<std::uint8_t>(0xffU >> length % 8);
  bytes[whole] = static_cast<std::uint8_t>(ones ? bytes[whole] | mask : bytes[whole] & ~mask);
  std::fill(bytes.begin() + whole + 1, bytes.end(), static_cast<std::uint8_t>(ones ? 0xff : 0));
  return IpAddress(bytes);
}

// Most addresses of IPv4: four numbers without leading zeros, and nothing beside them. Nothing for all other texts.
std::optional<std::uint32_t> plain_quad(std::string_view text) {
  std::uint32_t address = 0;
  for (unsigned part = 0; part < 4; ++part) {
    unsigned number = 0;
    std::size_t digits = 0;
    while (digits < std::min<std::size_t>(text.size(), 3) && is_digit(text[digits])) {
      number = number * 10 + static_cast<unsigned>(text[digits++] - '0');
    }
    if (digits == 0 || number > 255 || (digits > 1 && text.front() == '0')) return std::nullopt;
    text.remove_prefix(digits);
    address = address << 8U | number;
    if (part == 3) break;
    if (!text.starts_with('.')) return std::nullopt;
    text.remove_prefix(1);
  }
  return text.empty() ? std::optional(address) : std::nullopt;
}

// Those that overlap become one. In memory of the size that they need.
template <typename Range>
void merge(std::vector<Range>& ranges) {
  if (!std::ranges::is_sorted(ranges)) std::ranges::sort(ranges);
  std::size_t count = 0;
  for (const Range& range : ranges) {
    if (count > 0 && range.first <= ranges[count - 1].second) {
      ranges[count - 1].second = std::max(ranges[count - 1].second, range.second);
    } else {
      ranges[count++] = range;
    }
  }
  ranges.resize(count);
  ranges.shrink_to_fit();
}

template <typename Range, typename Address>
bool is_among(const std::vector<Range>& ranges, const Address& address) {
  const auto after = std::ranges::upper_bound(ranges, address, {}, &Range::first);
  return after != ranges.begin() && address <= std::prev(after)->second;
}

}  // namespace

IpAddress IpAddress::v4(std::uint32_t host_order) {
  Bytes bytes{};
  std::ranges::copy(kMapped, bytes.begin());
  for (unsigned i = 0; i < 4; ++i) bytes[12 + i] = static_cast<std::uint8_t>(host_order >> (24 - 8 * i));
  return IpAddress(bytes);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (const auto four = plain_quad(text)) return v4(*four);
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

std::uint32_t IpAddress::four() const {
  std::uint32_t address = 0;
  for (std::size_t i = kMapped.size(); i < bytes_.size(); ++i) address = address << 8U | bytes_[i];
  return address;
}

std::string IpAddress::text() const {
  if (is_v4()) {
    std::string dotted;
    for (std::size_t i = kMapped.size(); i < bytes_.size(); ++i) {
      if (!dotted.empty()) dotted += '.';
      const fmt::format_int octet(bytes_[i]);
      dotted.append(octet.data(), octet.size());
    }
    return dotted;
  }
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(AF_INET6, bytes_.data(), buffer.data(), buffer.size());
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
  if (is_v4()) return {Range{begin, end}, std::nullopt};
  const IpAddress four_begin = IpAddress::v4(0);
  const IpAddress four_end = IpAddress::v4(~std::uint32_t{0});
  if (end < four_begin || begin > four_end) return {Range{begin, end}, std::nullopt};
  std::array<std::optional<Range>, 2> around;
  if (begin < four_begin) around[0] = Range{begin, *previous_address(four_begin)};
  if (end > four_end) around[1] = Range{*next_address(four_end), end};
  return around;
}

bool IpNetwork::is_v4() const { return address_.is_v4() && length_ >= kMappedBits; }
IpAddress IpNetwork::first() const { return fill(address_, length_, false); }
IpAddress IpNetwork::last() const { return fill(address_, length_, true); }

std::string IpNetwork::text() const {
  std::string text = first().text();
  const fmt::format_int length(is_v4() ? length_ - kMappedBits : length_);
  text += '/';
  return text.append(length.data(), length.size());
}

void NetworkSet::add(const IpNetwork& network) {
  for (const auto& range : network.ranges()) {
    if (!range) continue;
    if (range->first.is_v4()) {
      four_.emplace_back(range->first.four(), range->second.four());
    } else {
      six_.push_back(*range);
    }
  }
}

void NetworkSet::add_all(const NetworkSet& other) {
  four_.insert(four_.end(), other.four_.begin(), other.four_.end());
  six_.insert(six_.end(), other.six_.begin(), other.six_.end());
}

void NetworkSet::seal() {
  merge(four_);
  merge(six_);
}

bool NetworkSet::contains(IpAddress address) const {
  return address.is_v4() ? is_among(four_, address.four()) : is_among(six_, address);
}

}  // namespace replygate
