#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "policy/load/load.h"

namespace replygate {

constexpr std::size_t kMostOctetsOfFile = std::size_t{64} << 20U;

// The content of a regular file of at most `most` octets; else nothing, and in `why` the reason for people.
std::optional<std::string> read_file(const std::string& path, std::string& why, std::size_t most = kMostOctetsOfFile);

// What can be said of a path without opening it. What cannot be looked at may be there.
enum class Presence { absent, present, unknown };
Presence look_for(const std::string& path);

// Whatever a policy names outside of itself.
std::optional<std::string> read_source(const DataSource& source, std::string& why);

// Changes whenever the file at `path`, its content or its rights do; "absent" where it cannot be looked at.
std::string stamp_of_file(const std::string& path);

// Puts a new file in the place of one, all or nothing, on disk when it returns. Its owner and mode are those of the
// file `like`; without one it is ours, of mode 0600. On failure the reason, for people.
tl::expected<void, std::string> replace_file(const std::string& path, std::string_view text,
                                             const std::string& like = "");

// Reads and compiles a policy from the file system.
Loaded load_policy_file(const std::string& path);

// Its first line, with its place behind it.
std::string in_one_line(const Diagnostic& diagnostic, const Sources& sources);
// That of its first error, behind warnings and notes; "" where there is none.
std::string first_error(const Loaded& loaded);

}  // namespace replygate
