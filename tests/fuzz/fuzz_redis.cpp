// Any octets from a server are replies or an error, and whatever the reply, the readings have the asked shape or are
// none.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "milter/store/redis_script.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  redis::ReplyReader reader;
  const std::size_t half = size / 2;
  reader.feed(reinterpret_cast<const char*>(data), half);
  for (int part = 0; part < 2; ++part) {
    for (;;) {
      const auto reply = reader.next();
      if (!reply) return 0;
      if (*reply == nullptr) break;
      redis::error_word(**reply);
      redis::text_of(**reply);
      for (std::size_t charges = 0; charges < 4; ++charges) {
        const auto taking = redis::read_taking(**reply, charges, Instant(std::chrono::hours(490000)));
        if (taking && taking->readings.size() != charges) std::abort();
      }
    }
    reader.feed(reinterpret_cast<const char*>(data) + half, size - half);
  }
  return 0;
}
