#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace replygate {

// How far a scan is.
struct ScanProgress {
  std::int64_t records = 0;
  std::int64_t octets = 0;  // of the files that were read
  std::int64_t of_octets = 0;
};

// Hands on every record of a history as a line of JSON without LF, the oldest first, while it may be written. A file
// that goes meanwhile is left out. On failure, such as one that may not be read, the reason, for people.
tl::expected<ScanProgress, std::string> scan_history(const std::string& folder,
                                                     const std::function<void(std::string_view)>& take,
                                                     const std::function<void(const ScanProgress&)>& progress);

// Whether there is such a record; reads no further than to the first one. Failures as above.
tl::expected<bool, std::string> history_has(const std::string& folder,
                                            const std::function<bool(std::string_view)>& is_it);

}  // namespace replygate
