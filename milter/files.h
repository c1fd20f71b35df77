#pragma once

#include <optional>
#include <string>

#include "policy/load/load.h"

namespace replygate {

// The content of a regular file of at most 64 MiB; else nothing, and in `why` the reason for people.
std::optional<std::string> read_file(const std::string& path, std::string& why);

// Whatever a policy names outside of itself.
std::optional<std::string> read_source(const DataSource& source, std::string& why);

// Reads and compiles a policy from the file system.
Loaded load_policy_file(const std::string& path);

}  // namespace replygate
