// Whatever somebody pastes is taken apart or not.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "milter/cli/pasted.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto reply = replygate::take_apart({reinterpret_cast<const char*>(data), size});
  if (reply && (reply->code < 200 || reply->code > 599)) std::abort();
  return 0;
}
