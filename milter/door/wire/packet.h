#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "milter/door/wire/protocol.h"

// The framing of the milter protocol. Pure.
namespace replygate::wire {

struct Packet {
  char command = 0;
  std::string_view data;  // into the octets that it was read from
};

// What stands at the front of the octets received.
struct Framed {
  enum class Kind : std::uint8_t { packet, incomplete, too_long, empty };

  Kind kind = Kind::incomplete;
  Packet packet;         // of kind packet
  std::size_t size = 0;  // octets of the whole packet, frame included; 0 while its length is not known
};

// `most`: octets that the length of a packet may name. A packet without even a command is `empty`, an error.
Framed next_packet(std::string_view octets, std::size_t most);

// Appends a packet to `out`. The data is at most 4 GiB.
void append_packet(std::string& out, char command, std::string_view data = {});

void append_u32(std::string& out, std::uint32_t value);
std::uint32_t read_u32(std::string_view octets);  // of at least four
std::uint16_t read_u16(std::string_view octets);  // of at least two

}  // namespace replygate::wire
