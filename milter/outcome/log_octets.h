#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "milter/outcome/log_position.h"

// Octets of an open file of a log.
namespace replygate {

// Those before the offset, as many as are sealed; nothing where the file is shorter.
std::optional<std::string> tail_of(int file, std::uint64_t offset);

// Whether they are those that were read.
bool has_seal(int file, const LogPosition& position);

// The whole lines that follow an offset, read into a block.
std::string_view lines_at(int file, std::uint64_t offset, std::string& block);

}  // namespace replygate
