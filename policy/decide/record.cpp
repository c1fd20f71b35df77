#include "policy/decide/record.h"

#include <array>

namespace replygate {

std::string_view to_string(Ending ending) {
  constexpr std::array<std::string_view, 3> names = {"accepted", "refused", "aborted"};
  return names[static_cast<std::size_t>(ending)];
}

}  // namespace replygate
