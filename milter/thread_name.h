#pragma once

#include <pthread.h>

#include <string>
#include <string_view>

namespace replygate {

// What `top -H` and a core dump call the calling thread. The kernel keeps 15 octets. Threads that decide are "milter…".
inline void name_thread(std::string_view name) {
  constexpr std::size_t kMost = 15;
  pthread_setname_np(pthread_self(), std::string(name.substr(0, kMost)).c_str());
}

}  // namespace replygate
