#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "policy/load/statuses.h"
#include "policy/remote/status_book.h"

namespace replygate {

// Where an administrator's own files are looked for.
inline constexpr const char* kStatusFolder = "/etc/replygate/statuses";

// The files compiled in, in the order of their names; one of `folder` takes the place of the one of its name, others
// come before them. A folder that does not exist has none. On a file that cannot be read: `error`, and nothing.
std::vector<StatusFile> status_files(const std::string& folder, std::string& error);

// Why a folder that somebody has named cannot be looked through; "" where it can. kStatusFolder need not be there.
std::string why_unread(const std::string& folder);

// All that is known of the replies of others. On failure what is wrong with which file, for people.
tl::expected<std::unique_ptr<StatusBook>, std::string> open_status_book(const std::string& folder);

}  // namespace replygate
