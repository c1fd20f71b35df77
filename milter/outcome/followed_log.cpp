#include "milter/outcome/followed_log.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>

namespace replygate {
namespace {

constexpr std::size_t kFollowedBlock = std::size_t{256} << 10U;
constexpr std::size_t kSealed = 512;  // octets: some lines, with their times and ids

// Not for secrets: FNV-1a.
std::uint64_t seal_of_tail(std::string_view tail) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const char c : tail) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return hash;
}

// The octets before the offset, as many as are sealed; nothing where the file is shorter.
std::optional<std::string> tail_of(int file, std::uint64_t offset) {
  std::string octets(std::min<std::uint64_t>(offset, kSealed), '\0');
  const ssize_t read = ::pread(file, octets.data(), octets.size(), static_cast<off_t>(offset - octets.size()));
  return read == static_cast<ssize_t>(octets.size()) ? std::optional(std::move(octets)) : std::nullopt;
}

bool has_seal(int file, const LogPosition& position) {
  const auto tail = tail_of(file, position.offset);
  return tail && seal_of_tail(*tail) == position.seal;
}

// The whole lines that follow an offset, read into a block.
std::string_view lines_at(int file, std::uint64_t offset, std::string& block) {
  const ssize_t read = ::pread(file, block.data(), block.size(), static_cast<off_t>(offset));
  if (read <= 0) return {};
  const std::string_view octets(block.data(), static_cast<std::size_t>(read));
  const std::size_t end = octets.rfind('\n');
  if (end == std::string_view::npos) return octets.size() == block.size() ? octets : std::string_view();
  return octets.substr(0, end + 1);
}

std::string why_not_open(const std::string& path, int error) {
  return fmt::format("{}: {}", path,
                     error == EINVAL ? "it is no regular file" : std::generic_category().message(error));
}

// An errno, or 0. What is no regular file is not opened: a FIFO's writer would take us for its reader.
int try_to_open(const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) return errno;
  if (!S_ISREG(s.st_mode)) return EINVAL;
  return open_regular(path) == nullptr ? errno : 0;
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
  ahead_.resize(kFollowedBlock);
  find_again();
}

bool FollowedLog::is_open(const RotatedFile& file) const {
  return file_ != nullptr && position_ && is_same_file(file, *position_);
}

std::unique_ptr<Descriptor> FollowedLog::opened(const RotatedFile& file) {
  // Renamed since it was looked at: another time.
  auto opened = open_regular(file.path);
  if (opened == nullptr && errno != ENOENT) trouble_ = why_not_open(file.path, errno);
  struct stat s{};
  if (opened == nullptr || ::fstat(opened->get(), &s) != 0) return nullptr;
  return s.st_ino == file.inode && s.st_dev == file.device ? std::move(opened) : nullptr;
}

bool FollowedLog::open(const RotatedFile& file, std::uint64_t offset) {
  auto there = opened(file);
  auto tail = there == nullptr ? std::nullopt : tail_of(there->get(), offset);
  if (!tail) return false;
  file_ = std::move(there);
  tail_ = *std::move(tail);
  position_ = LogPosition{file.device, file.inode, offset, seal_of_tail(tail_)};
  return true;
}

FollowedLog::Ahead FollowedLog::look_into(const RotatedFile& file) {
  if (file.size == 0) return {};
  Ahead ahead{.file = opened(file)};
  if (ahead.file == nullptr) return {.found = Found::not_now};
  ahead.lines = lines_at(ahead.file->get(), 0, ahead_);
  ahead.found = ahead.lines.empty() ? Found::nothing : Found::lines;
  return ahead;
}

void FollowedLog::go_to(const RotatedFile& file, Ahead&& ahead) {
  lines_ = ahead.lines;
  file_ = std::move(ahead.file);
  tail_.clear();
  position_ = LogPosition{file.device, file.inode, 0, seal_of_tail("")};
}

FollowedLog::Found FollowedLog::begin(const RotatedFile& file) {
  Ahead ahead = look_into(file);
  const Found found = ahead.found;
  if (found == Found::lines) go_to(file, std::move(ahead));
  return found;
}

// The same octets before the position, in another file: what copytruncate has saved.
FollowedLog::Found FollowedLog::open_copy() {
  if (position_->offset == 0) return Found::nothing;
  const auto files = rotated_files(path_);
  if (!files) return Found::not_now;
  Found found = Found::nothing;
  for (const RotatedFile& file : *files) {
    if (file.size < position_->offset) continue;
    const auto looked = opened(file);
    if (looked == nullptr) found = Found::not_now;
    if (looked == nullptr || !has_seal(looked->get(), *position_)) continue;
    return open(file, position_->offset) ? Found::lines : Found::not_now;
  }
  return found;
}

FollowedLog::Found FollowedLog::begin_at_end(const std::vector<RotatedFile>& files) {
  const auto filled = std::find_if(files.rbegin(), files.rend(), [](const RotatedFile& file) { return file.size > 0; });
  if (filled != files.rend()) return open(*filled, filled->size) ? Found::lines : Found::not_now;
  if (files.empty() || files.back().path != path_) return Found::nothing;
  first_ = open(files.back(), 0);
  return first_ ? Found::lines : Found::not_now;
}

// A log that comes into a folder that was seen without it is new; what is mounted later is not.
FollowedLog::Found FollowedLog::find_begin() {
  const auto folder = look_at_folder(path_);
  const auto files = rotated_files(path_);
  if (!folder || !files) return folder ? Found::not_now : Found::nothing;
  if (!folder->has_log) without_ = folder;
  const bool is_new = without_ && is_same_file(*without_, *folder);
  if (is_new && !files->empty() && files->back().path == path_) return begin(files->back());
  return begin_at_end(*files);
}

FollowedLog::Found FollowedLog::find_position(const LogPosition& was) {
  position_ = was;
  file_ = nullptr;
  const auto files = rotated_files(path_);
  if (!files) return Found::not_now;
  for (const RotatedFile& file : *files) {
    if (!is_same_file(file, was) || file.size < was.offset) continue;
    if (!open(file, was.offset)) return Found::not_now;
    if (position_->seal == was.seal) return Found::lines;
  }
  position_ = was;
  file_ = nullptr;
  return open_copy();
}

// What is not there, or may not be read, is looked for at each look until it is found.
void FollowedLog::find_again() {
  constexpr int kAttempts = 20;  // while files are being rotated
  const std::optional<LogPosition> was = position_;
  is_lost_ = false;
  Found found = Found::not_now;
  for (int i = 0; i < kAttempts && found == Found::not_now && trouble_.empty(); ++i) {
    found = was ? find_position(*was) : find_begin();
  }
  if (!was) return;
  goes_on_ = found == Found::lines;
  first_ = goes_on_ && was->offset == 0;
  if (found == Found::nothing || (!goes_on_ && !trouble_.empty())) begin_elsewhere(*was);
}

// In the same file, if that has other lines now; else in the log.
FollowedLog::Found FollowedLog::begin_in(const std::vector<RotatedFile>& files, const LogPosition& was) {
  const auto same = std::ranges::find_if(files, [&](const RotatedFile& file) { return is_same_file(file, was); });
  return begin(same == files.end() ? files.back() : *same);
}

// Where no file may be read it is not lost yet.
void FollowedLog::begin_elsewhere(const LogPosition& lost) {
  const auto files = rotated_files(path_).value_or(std::vector<RotatedFile>());
  if (files.empty()) return;
  Found found = begin_in(files, lost);
  if (found == Found::nothing) found = begin_at_end(files);
  is_lost_ = found == Found::lines;
}

std::string_view FollowedLog::lines_here() {
  if (file_ == nullptr) return {};
  const std::string_view lines = lines_at(file_->get(), position_->offset, block_);
  // Truncated and written anew it is another log.
  return has_seal(file_->get(), *position_) ? lines : std::string_view();
}

std::string_view FollowedLog::next_block() {
  trouble_.clear();
  lines_ = {};
  if (file_ == nullptr) {
    find_again();
    if (is_lost_) trouble_ = fmt::format("{}: the file that was read last is gone; lines may be missing", path_);
  }
  if (lines_.empty()) lines_ = lines_here();
  if (first_ && look_before() == Found::not_now) return {};
  while (lines_.empty() && next_file()) {
    if (lines_.empty()) lines_ = lines_here();
  }
  pass(lines_);
  return lines_;
}

// The seal is of what was read: the file may be another one by now.
void FollowedLog::pass(std::string_view lines) {
  if (lines.empty()) return;
  tail_ += lines.substr(lines.size() - std::min(lines.size(), kSealed));
  if (tail_.size() > kSealed) tail_.erase(0, tail_.size() - kSealed);
  position_->offset += lines.size();
  position_->seal = seal_of_tail(tail_);
  first_ = false;
}

// There was no line when it came to stand here: what lies before has come since, and was copied from here. The copy is
// there before the log has other lines, so it is looked for behind them.
FollowedLog::Found FollowedLog::look_before() {
  const auto files = rotated_files(path_);
  if (!files) return Found::not_now;
  for (const RotatedFile& file : *files) {
    if (is_open(file)) break;
    if (const Found found = begin(file); found != Found::nothing) return found;
  }
  return Found::nothing;
}

// Whether the open file still has what was read of it.
bool FollowedLog::is_whole(std::uint64_t size) const {
  return size >= position_->offset && has_seal(file_->get(), *position_);
}

// It was emptied.
bool FollowedLog::begin_again() {
  if (const Found found = open_copy(); found != Found::nothing) return found == Found::lines;
  const auto files = rotated_files(path_);
  return files && !files->empty() && begin_in(*files, *position_) == Found::lines;
}

// The first one behind the open file that has lines; `changed`: when that was written last. By the time that a file has
// lines, all is there that comes before them: so it is looked for once more, here and among the files.
bool FollowedLog::next_of(std::int64_t changed) {
  const auto files = rotated_files(path_);
  if (!files) return false;
  const auto here = std::ranges::find_if(*files, [&](const RotatedFile& file) { return is_open(file); });
  for (auto file = here == files->end() ? files->begin() : here + 1; file != files->end(); ++file) {
    if (file->path != path_ && file->changed < changed) continue;
    Ahead ahead = look_into(*file);
    if (ahead.found == Found::nothing) continue;
    lines_ = lines_here();
    if (!lines_.empty() || ahead.found == Found::not_now) return !lines_.empty();
    const auto again = rotated_files(path_);
    if (!again || !are_same_rotations(*files, *again, path_)) return false;
    go_to(*file, std::move(ahead));
    return true;
  }
  return false;
}

// True: there may be something to read at once, here or in another file.
bool FollowedLog::next_file() {
  struct stat s{};
  if (file_ == nullptr || ::fstat(file_->get(), &s) != 0) {
    file_ = nullptr;
    return false;
  }
  if (!is_whole(static_cast<std::uint64_t>(s.st_size))) return begin_again();
  const auto live = rotated_file(path_);
  // One that was put aside is written until its writer is told to go over to the new one.
  if (!live || is_open(*live)) return false;
  lines_ = lines_here();
  if (!lines_.empty()) return true;
  return next_of(s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec);
}

// Between a rotation and the next line nobody may have created the log yet.
std::string FollowedLog::trouble() const {
  if (!trouble_.empty()) return trouble_;
  const int error = try_to_open(path_);
  const bool is_to_come = error == ENOENT && file_ != nullptr && look_at_folder(path_);
  return error == 0 || is_to_come ? "" : why_not_open(path_, error);
}

}  // namespace replygate
