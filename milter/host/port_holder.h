#pragma once

#include <optional>
#include <string>

#include "policy/load/socket.h"

namespace replygate {

// The program that listens somewhere.
struct PortHolder {
  int pid = 0;  // 0: it is not known
  std::string name;
};
// Nothing where nobody listens there.
std::optional<PortHolder> holder_of(const SocketAddress& address);

}  // namespace replygate
