#include "milter/door/door.h"

#include "milter/door/asio/engine.h"
#include "milter/door/libmilter.h"

namespace replygate {

tl::expected<std::unique_ptr<MilterDoor>, std::string> open_milter_door(const DoorServices& services) {
  const bool libmilter = services.policy->settings().engine == Engine::libmilter;
  return libmilter ? open_libmilter_door(services) : open_asio_door(services);
}

}  // namespace replygate
