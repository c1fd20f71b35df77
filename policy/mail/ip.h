#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace replygate {

// An IPv4 or IPv6 address as a value. IPv4 is kept as IPv4-mapped IPv6 (::ffff:a.b.c.d), so that both spellings of
// one client are equal. Other embeddings (64:ff9b::/96 …) are addresses of their own.
class IpAddress {
 public:
  using Bytes = std::array<std::uint8_t, 16>;

  IpAddress() = default;  // ::
  explicit IpAddress(const Bytes& bytes) : bytes_(bytes) {}
  static IpAddress v4(std::uint32_t host_order);

  // Dotted quad, or IPv6 text with or without a leading "IPv6:"; no brackets, no zone, no blanks.
  static std::optional<IpAddress> parse(std::string_view text);

  bool is_v4() const;
  std::uint32_t four() const;  // of IPv4, in host order
  std::string text() const;    // dotted quad, or RFC 5952
  const Bytes& bytes() const { return bytes_; }

  auto operator<=>(const IpAddress&) const = default;

 private:
  Bytes bytes_{};
};

// The neighbours in the order of all addresses; nothing beyond the ends.
std::optional<IpAddress> next_address(const IpAddress& address);
std::optional<IpAddress> previous_address(const IpAddress& address);

// A CIDR network. The prefix length counts within the family of the address: ::/0 are all IPv6 addresses, and no IPv4
// address is among them, though IPv4-mapped ones are written so.
class IpNetwork {
 public:
  // "192.0.2.0/24", "2001:db8::/32", or an address alone. Host bits may be set; see has_host_bits().
  static std::optional<IpNetwork> parse(std::string_view text);
  // The network of `length` bits around an address; length ≤ 32 for IPv4, ≤ 128 for IPv6.
  static IpNetwork around(IpAddress address, unsigned length);

  bool has_host_bits() const { return address_ != first(); }
  bool contains(IpAddress address) const;
  IpAddress first() const;
  IpAddress last() const;
  // What belongs to it, first and last addresses: before IPv4 and behind it, where IPv4 would lie between them.
  using Range = std::pair<IpAddress, IpAddress>;
  std::array<std::optional<Range>, 2> ranges() const;
  std::string text() const;  // of the network itself, host bits cleared

 private:
  IpNetwork(IpAddress address, unsigned length) : address_(address), length_(length) {}

  bool is_v4() const;

  IpAddress address_;
  unsigned length_ = 128;  // of the 128 bits
};

// A set of networks: containment in O(log n). Immutable after seal(); then any thread may ask. A network of IPv4 takes
// eight octets, another one 32.
class NetworkSet {
 public:
  void add(const IpNetwork& network);
  void add_all(const NetworkSet& other);
  void seal();
  bool contains(IpAddress address) const;
  bool empty() const { return size() == 0; }
  // How many ranges of addresses it is made of.
  std::size_t size() const { return four_.size() + six_.size(); }
  bool operator==(const NetworkSet&) const = default;

  // Calls `visit` with the first and the last address of each range: those of IPv4, then the others. Once sealed, they
  // are disjoint, and each kind ascends.
  template <typename Visit>
  void each_range(Visit visit) const {
    for (const auto& [first, last] : four_) visit(IpAddress::v4(first), IpAddress::v4(last));
    for (const auto& [first, last] : six_) visit(first, last);
  }

 private:
  std::vector<std::pair<std::uint32_t, std::uint32_t>> four_;  // in host order
  std::vector<IpNetwork::Range> six_;
};

}  // namespace replygate
