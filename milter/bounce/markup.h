#pragma once

#include <string>
#include <string_view>

namespace replygate {

// The text of an HTML page: tags left out, those that end a line as LF, the commonest entities resolved. Linear time.
std::string without_markup(std::string_view html);

}  // namespace replygate
