#pragma once

#include <re2/re2.h>

#include <string_view>

namespace replygate {

// RE2 has had three types of view; this constructor is one that all of them have.
inline re2::StringPiece to_piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace replygate
