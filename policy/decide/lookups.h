#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "policy/rules/answers.h"

namespace replygate {

// Live sources, as decisions ask them. Implementations are safe for any number of threads and do not block.
class Lookups {
 public:
  using Told = std::function<void(LiveAnswer)>;

  Lookups() = default;
  Lookups(const Lookups&) = delete;
  Lookups& operator=(const Lookups&) = delete;
  virtual ~Lookups() = default;

  // What is known without asking; nothing where it must be asked.
  virtual std::optional<LiveAnswer> known(const LiveSource& source, std::string_view key) = 0;
  // `told` is called exactly once, before the call returns or later, on any thread, within the source's timeout.
  virtual void ask(const LiveSource& source, std::string_view key, Told told) = 0;
  // An answer was not understood as what it was asked for.
  virtual void misread(const LiveSource& source, std::string_view key) = 0;
};

}  // namespace replygate
