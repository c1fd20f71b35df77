#include "milter/outcome/compressed_log.h"

#include <utility>

namespace replygate {
namespace {

constexpr std::size_t kLongestOpen = std::size_t{256} << 10U;  // octets: such a line is handed on in pieces

}  // namespace

std::unique_ptr<CompressedLog> CompressedLog::open(std::unique_ptr<Descriptor> file, const RotatedFile& rotated) {
  auto log = PastLog::open(std::move(file), rotated.path);
  if (!log) return nullptr;
  return std::unique_ptr<CompressedLog>(new CompressedLog(*std::move(log), rotated));
}

std::unique_ptr<CompressedLog> CompressedLog::open_behind(std::unique_ptr<Descriptor> file, const RotatedFile& rotated,
                                                          const LogPosition& position) {
  auto log = open(std::move(file), rotated);
  const bool has_it = log != nullptr && log->skip(position.offset) && log->tail_.seal() == position.seal;
  return has_it ? std::move(log) : nullptr;
}

// What a block has beyond them is kept.
bool CompressedLog::skip(std::uint64_t octets) {
  while (octets > 0) {
    const std::string_view block = log_->octets();
    if (block.empty()) return false;
    const std::string_view skipped = block.substr(0, octets);
    tail_.add(skipped);
    octets -= skipped.size();
    open_ = block.substr(skipped.size());
  }
  return true;
}

// As of a plain file, an end without a line's end is not handed on.
std::string_view CompressedLog::lines() {
  std::size_t end = open_.rfind('\n');
  while (end == std::string::npos && open_.size() < kLongestOpen) {
    const std::string_view more = log_->octets();
    if (more.empty()) return {};
    open_ += more;
    end = open_.rfind('\n');
  }
  block_ = std::exchange(open_, "");
  if (end != std::string::npos) {
    open_ = block_.substr(end + 1);
    block_.resize(end + 1);
  }
  return block_;
}

}  // namespace replygate
