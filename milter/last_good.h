#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "policy/load/load.h"
#include "policy/rules/settings.h"

namespace replygate {

// The texts of a policy: all that it was made of, by DataSource::text().
using PolicyTexts = std::map<std::string, std::string>;

// Where replygate keeps what must outlive it: what systemd says, else /var/lib/replygate.
std::string state_folder();

// The same where a policy has put the file of its counters elsewhere: beside that file; else `otherwise`.
std::string folder_beside(const StoreSettings& store, const std::string& otherwise);
// Of a policy in error, whose text may still tell.
std::string folder_beside(std::string_view policy_in_error, const std::string& otherwise);

// Keeps the texts of the policy at `path` in a folder, in place of those kept before; all or nothing. On failure the
// reason. A folder that is not there keeps nothing, and that is no failure.
tl::expected<void, std::string> keep_last_good(const std::string& folder, const std::string& path,
                                               const PolicyTexts& texts);

// The policy at `path` as it was kept last; nothing where none was, or what is kept is damaged.
std::optional<Loaded> load_last_good(const std::string& folder, const std::string& path);

}  // namespace replygate
