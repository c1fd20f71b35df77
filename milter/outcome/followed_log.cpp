#include "milter/outcome/followed_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFollowedBlock = std::size_t{256} << 10U;
constexpr std::size_t kSealed = 512;  // octets: some lines, with their times and ids

bool is_compressed(std::string_view name) {
  constexpr std::array<std::string_view, 4> kEnds = {".gz", ".xz", ".zst", ".bz2"};
  return std::ranges::any_of(kEnds, [&](std::string_view end) { return name.ends_with(end); });
}

// "mail.log.1", "mail.log-20261129": not "mail.info" beside "mail".
bool is_rotation_of(std::string_view log, std::string_view name) {
  if (!name.starts_with(log) || name.size() < log.size() + 2) return false;
  const std::string_view rest = name.substr(log.size());
  return (rest.front() == '.' || rest.front() == '-') && is_digit(rest[1]);
}

}  // namespace

std::string LogPosition::text() const { return fmt::format("{} {} {} {}", device, inode, offset, seal); }

std::optional<LogPosition> LogPosition::parse(std::string_view text) {
  LogPosition position;
  for (std::uint64_t* number : {&position.device, &position.inode, &position.offset, &position.seal}) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    if (text.starts_with(' ')) text.remove_prefix(1);
  }
  return text.empty() ? std::optional(position) : std::nullopt;
}

FollowedLog::FollowedLog(std::string path, std::optional<LogPosition> position)
    : path_(std::move(path)), position_(position) {
  block_.resize(kFollowedBlock);
  find_again();
}

std::optional<FollowedLog::Sibling> FollowedLog::look_at(const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  return Sibling{path,
                 s.st_dev,
                 s.st_ino,
                 s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec,
                 s.st_ctim.tv_sec * 1000000000 + s.st_ctim.tv_nsec,
                 static_cast<std::uint64_t>(s.st_size)};
}

std::vector<FollowedLog::Sibling> FollowedLog::siblings() const {
  const fs::path log(path_);
  const std::string lead = log.filename().string();
  std::vector<Sibling> found;
  std::error_code error;
  fs::directory_iterator entry(log.has_parent_path() ? log.parent_path() : ".", error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!is_rotation_of(lead, name) || is_compressed(name)) continue;
    if (auto sibling = look_at(entry->path().string())) found.push_back(*std::move(sibling));
  }
  std::ranges::sort(found, {}, [](const Sibling& file) { return std::pair(file.changed, file.moved); });
  if (auto live = look_at(path_)) found.push_back(*std::move(live));
  return found;
}

// Not for secrets: FNV-1a.
std::uint64_t FollowedLog::seal_of(int file, std::uint64_t offset) const {
  std::array<char, kSealed> octets{};
  const std::size_t count = std::min<std::uint64_t>(offset, kSealed);
  const ssize_t read = ::pread(file, octets.data(), count, static_cast<off_t>(offset - count));
  std::uint64_t hash = 14695981039346656037ULL;
  for (ssize_t i = 0; i < read; ++i) {
    hash = (hash ^ static_cast<unsigned char>(octets[static_cast<std::size_t>(i)])) * 1099511628211ULL;
  }
  return read < 0 || static_cast<std::size_t>(read) < count ? 0 : hash;
}

bool FollowedLog::is_open(const Sibling& file) const {
  return file_ != nullptr && position_ && file.device == position_->device && file.inode == position_->inode;
}

bool FollowedLog::open(const Sibling& file, std::uint64_t offset) {
  auto opened = std::make_unique<Descriptor>(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (opened->get() < 0) {
    trouble_ = fmt::format("{}: {}", file.path, std::generic_category().message(errno));
    return false;
  }
  struct stat s{};
  // Renamed since it was looked at: another time.
  if (::fstat(opened->get(), &s) != 0 || s.st_ino != file.inode || s.st_dev != file.device) return false;
  file_ = std::move(opened);
  position_ = LogPosition{file.device, file.inode, offset, seal_of(file_->get(), offset)};
  return true;
}

// The same octets before the position, in another file: what copytruncate has saved.
bool FollowedLog::open_copy() {
  if (position_->offset == 0) return false;
  for (const Sibling& file : siblings()) {
    if (file.size < position_->offset) continue;
    const Descriptor looked(::open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
    if (looked.get() < 0 || seal_of(looked.get(), position_->offset) != position_->seal) continue;
    return open(file, position_->offset);
  }
  return false;
}

void FollowedLog::find_again() {
  const auto files = siblings();
  if (!position_) {
    if (!files.empty() && files.back().path == path_) open(files.back(), files.back().size);
    return;
  }
  const LogPosition was = *position_;
  for (const Sibling& file : files) {
    if (file.device != was.device || file.inode != was.inode || file.size < was.offset) continue;
    goes_on_ = open(file, was.offset) && position_->seal == was.seal;
    if (goes_on_) return;
  }
  position_ = was;
  file_ = nullptr;
  goes_on_ = open_copy();
  if (goes_on_) return;
  if (files.empty() || files.back().path != path_) return;
  open(files.back(), 0);
  trouble_ = fmt::format("{}: the file that was read last is gone; lines may be missing", path_);
}

// The whole lines that follow the position.
std::string_view FollowedLog::lines_here() {
  if (file_ == nullptr) return {};
  const ssize_t read = ::pread(file_->get(), block_.data(), block_.size(), static_cast<off_t>(position_->offset));
  if (read <= 0) return {};
  // Truncated and written anew it is another log.
  if (seal_of(file_->get(), position_->offset) != position_->seal) return {};
  const std::string_view octets(block_.data(), static_cast<std::size_t>(read));
  const std::size_t end = octets.rfind('\n');
  if (end == std::string_view::npos) return octets.size() == block_.size() ? octets : std::string_view();
  return octets.substr(0, end + 1);
}

std::string_view FollowedLog::next_block() {
  trouble_.clear();
  const std::string_view lines = lines_here();
  if (lines.empty()) return {};
  position_->offset += lines.size();
  position_->seal = seal_of(file_->get(), position_->offset);
  return lines;
}

// Whether the open file still has what was read of it.
bool FollowedLog::is_whole(std::uint64_t size) const {
  return size >= position_->offset && seal_of(file_->get(), position_->offset) == position_->seal;
}

// True: there is something to read at once, here or in another file.
bool FollowedLog::next_file() {
  const auto live = look_at(path_);
  struct stat s{};
  if (file_ == nullptr || ::fstat(file_->get(), &s) != 0) return live && open(*live, 0);
  if (!is_whole(static_cast<std::uint64_t>(s.st_size))) {
    // It was emptied, and has begun anew.
    if (open_copy()) return true;
    for (const Sibling& file : siblings()) {
      if (is_open(file)) return open(file, 0);
    }
    return live && open(*live, 0);
  }
  // One that was put aside is written until its writer is told to go over to the new one.
  if (!live || is_open(*live)) return false;
  if (!lines_here().empty()) return true;
  const std::int64_t changed = s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec;
  const auto files = siblings();
  const auto here = std::ranges::find_if(files, [&](const Sibling& file) { return is_open(file); });
  for (auto file = here == files.end() ? files.begin() : here + 1; file != files.end(); ++file) {
    if (file->path == path_ ? file->size == 0 : file->changed < changed) continue;
    return open(*file, 0);
  }
  return false;
}

}  // namespace replygate
