#pragma once

#include <string>
#include <string_view>

namespace replygate {

// Cuts octets into lines, without their ends. Of a line beyond 64 KiB the beginning is kept. One thread.
class LineCutter {
 public:
  // Calls `take(line)` for each line that ends in `octets`; the views live as long as the call.
  template <typename Take>
  void cut(std::string_view octets, Take&& take) {
    std::size_t begin = 0;
    for (std::size_t end = octets.find('\n'); end != std::string_view::npos; end = octets.find('\n', begin)) {
      const std::string_view line = octets.substr(begin, end - begin);
      if (open_.empty()) {
        take(line.substr(0, kLongest));
      } else {
        keep(line);
        take(std::string_view(open_));
        open_.clear();
      }
      begin = end + 1;
    }
    keep(octets.substr(begin));
  }

  // The last line has no end.
  template <typename Take>
  void finish(Take&& take) {
    if (!open_.empty()) take(std::string_view(open_));
    open_.clear();
  }

  void clear() { open_.clear(); }

 private:
  static constexpr std::size_t kLongest = std::size_t{64} << 10U;

  void keep(std::string_view part) {
    if (open_.size() < kLongest) open_ += part.substr(0, kLongest - open_.size());
  }

  std::string open_;  // what has no end yet
};

}  // namespace replygate
