#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace replygate::import::postfwd {

// A range of `time` or `days` as we write it. "": no moment is in it. Nothing: it cannot be had.
std::optional<std::string> time_pattern(std::string_view text);
std::optional<std::string> days_pattern(std::string_view text);

}  // namespace replygate::import::postfwd
