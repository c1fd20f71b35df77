#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "policy/load/load.h"

namespace replygate {

// The content of a regular file of at most 64 MiB; else nothing, and in `why` the reason for people.
std::optional<std::string> read_file(const std::string& path, std::string& why);

// Whatever a policy names outside of itself.
std::optional<std::string> read_source(const DataSource& source, std::string& why);

// Puts a new file of mode 0600 in the place of one, all or nothing, on disk when it returns. On failure the reason, for
// people.
tl::expected<void, std::string> replace_file(const std::string& path, std::string_view text);

// Reads and compiles a policy from the file system.
Loaded load_policy_file(const std::string& path);

}  // namespace replygate
