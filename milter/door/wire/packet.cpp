#include "milter/door/wire/packet.h"

#include <array>

namespace replygate::wire {
namespace {

constexpr std::size_t kLengthSize = 4;

std::uint32_t octet(char c) { return static_cast<unsigned char>(c); }

}  // namespace

std::uint32_t read_u32(std::string_view octets) {
  return octet(octets[0]) << 24U | octet(octets[1]) << 16U | octet(octets[2]) << 8U | octet(octets[3]);
}

std::uint16_t read_u16(std::string_view octets) {
  return static_cast<std::uint16_t>(octet(octets[0]) << 8U | octet(octets[1]));
}

void append_u32(std::string& out, std::uint32_t value) {
  std::array<char, 4> octets{};
  for (const std::size_t i : {0U, 1U, 2U, 3U}) octets[i] = static_cast<char>(value >> (24 - 8 * i) & 0xffU);
  out.append(octets.data(), octets.size());
}

Framed next_packet(std::string_view octets, std::size_t most) {
  if (octets.size() < kLengthSize) return {};
  const std::size_t length = read_u32(octets);
  if (length == 0) return {.kind = Framed::Kind::empty};
  if (length > most) return {.kind = Framed::Kind::too_long};
  const std::size_t size = kLengthSize + length;
  if (octets.size() < size) return {.kind = Framed::Kind::incomplete, .packet = {}, .size = size};
  return {.kind = Framed::Kind::packet,
          .packet = {octets[kLengthSize], octets.substr(kLengthSize + 1, length - 1)},
          .size = size};
}

void append_packet(std::string& out, char command, std::string_view data) {
  append_u32(out, static_cast<std::uint32_t>(data.size() + 1));
  out.push_back(command);
  out += data;
}

}  // namespace replygate::wire
