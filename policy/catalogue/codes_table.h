#pragma once

#include <span>

#include "policy/catalogue/codes.h"

namespace replygate::detail {

// The rows of the catalogue, in ascending order of code; checked at compile time.
std::span<const ReplyCode> code_rows();

}  // namespace replygate::detail
