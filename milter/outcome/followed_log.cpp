#include "milter/outcome/followed_log.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "milter/outcome/log_octets.h"
#include "policy/decide/record_fields.h"

namespace replygate {
namespace {

constexpr std::size_t kFollowedBlock = std::size_t{256} << 10U;

}  // namespace

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
  rest_.reset();
  tail_ = LogTail(*std::move(tail));
  position_ = LogPosition{file.device, file.inode, offset, tail_.seal(), file.changed};
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
  rest_.reset();
  tail_ = LogTail();
  position_ = LogPosition{file.device, file.inode, 0, tail_.seal(), file.changed};
}

FollowedLog::Found FollowedLog::begin(const RotatedFile& file) {
  if (file.compressed) return begin_compressed(file);
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

// Its lines come in the first block, which is read at once: at the begin of a file no position is found again.
FollowedLog::Found FollowedLog::begin_compressed(const RotatedFile& file) {
  auto there = opened(file);
  if (there == nullptr) return Found::not_now;
  auto log = CompressedLog::open(std::move(there), file);
  const std::string_view lines = log == nullptr ? std::string_view() : log->lines();
  if (log == nullptr || (lines.empty() && !log->trouble().empty())) {
    trouble_ = fmt::format("{}: it cannot be read; its lines are missing", file.path);
  }
  if (lines.empty()) return Found::nothing;
  lines_ = lines;
  file_.reset();
  rest_ = std::move(log);
  tail_ = LogTail();
  position_ = LogPosition{file.device, file.inode, 0, tail_.seal(), position_->changed};
  return Found::lines;
}

bool FollowedLog::was_looked_into(const RotatedFile& file) const {
  return std::ranges::any_of(
      looked_into_, [&](const RotatedFile& other) { return is_same_file(file, other) && file.size == other.size; });
}

// The same octets before the position, in a file that was compressed since. It keeps the time of what it was made of,
// maybe in whole seconds, or has that of its compression.
FollowedLog::Found FollowedLog::open_rest() {
  constexpr std::int64_t kSecond = 1'000'000'000;
  if (position_->offset == 0) return Found::nothing;
  const auto files = compressed_files(path_);
  if (!files) return Found::not_now;
  for (const RotatedFile& file : *files) {
    if (file.changed + kSecond < position_->changed || was_looked_into(file)) continue;
    auto there = opened(file);
    if (there == nullptr) return Found::not_now;
    auto log = CompressedLog::open_behind(std::move(there), file, *position_);
    if (log == nullptr) {
      looked_into_.push_back(file);
      continue;
    }
    file_.reset();
    rest_ = std::move(log);
    tail_ = rest_->tail();
    position_->device = file.device;
    position_->inode = file.inode;
    return Found::lines;
  }
  return Found::nothing;
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
  rest_ = nullptr;
  const auto files = rotated_files(path_);
  if (!files) return Found::not_now;
  for (const RotatedFile& file : *files) {
    if (!is_same_file(file, was) || file.size < was.offset) continue;
    if (!open(file, was.offset)) return Found::not_now;
    if (was.changed != 0) position_->changed = was.changed;  // what has come since was not read
    if (position_->seal == was.seal) return Found::lines;
  }
  position_ = was;
  file_ = nullptr;
  const Found copy = open_copy();
  return copy == Found::nothing ? open_rest() : copy;
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

// In the oldest one that was written later. Where nobody knows when it was read: in the same file, if that has other
// lines now; else in the log.
FollowedLog::Found FollowedLog::begin_in(const std::vector<RotatedFile>& files, const LogPosition& was) {
  if (was.changed == 0) {
    const auto same = std::ranges::find_if(files, [&](const RotatedFile& file) { return is_same_file(file, was); });
    return begin(same == files.end() ? files.back() : *same);
  }
  for (const RotatedFile& file : files) {
    if (file.path != path_ && file.changed <= was.changed) continue;
    if (const Found found = begin(file); found != Found::nothing) return found;
  }
  return Found::nothing;
}

// Where no file may be read it is not lost yet.
void FollowedLog::begin_elsewhere(const LogPosition& lost) {
  const auto files = rotated_files(path_).value_or(std::vector<RotatedFile>());
  if (files.empty()) return;
  Found found = begin_in(files, lost);
  std::string_view place = "the begin";
  if (found == Found::nothing) {
    found = begin_at_end(files);
    place = "the end";
  }
  is_lost_ = found == Found::lines;
  if (is_lost_) note_loss(lost, place);
}

void FollowedLog::note_loss(const LogPosition& lost, std::string_view place) {
  const auto files = rotated_files(path_).value_or(std::vector<RotatedFile>());
  const auto here = std::ranges::find_if(files, [&](const RotatedFile& file) { return is_open(file); });
  const Instant read(std::chrono::duration_cast<Duration>(std::chrono::nanoseconds(lost.changed)));
  const std::string since =
      lost.changed == 0 ? "" : fmt::format(" that were written after {}", detail::format_time(read));
  loss_ = fmt::format("what was read last is no longer there; lines may be missing{}, and reading goes on at {} of {}",
                      since, place, here == files.end() ? path_ : here->path);
}

std::string_view FollowedLog::lines_here() {
  if (rest_ != nullptr) return rest_->lines();
  if (file_ == nullptr) return {};
  const std::string_view lines = lines_at(file_->get(), position_->offset, block_);
  // Truncated and written anew it is another log.
  return has_seal(file_->get(), *position_) ? lines : std::string_view();
}

std::string_view FollowedLog::next_block() {
  trouble_.clear();
  lines_ = {};
  if (file_ == nullptr && rest_ == nullptr) {
    find_again();
    if (is_lost_) trouble_ = fmt::format("{}: {}", path_, loss_);
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
  tail_.add(lines);
  position_->offset += lines.size();
  position_->seal = tail_.seal();
  struct stat s{};
  if (file_ != nullptr && ::fstat(file_->get(), &s) == 0) position_->changed = change_of(s);
  first_ = false;
  looked_into_.clear();
}

// There was no line when it came to stand here: what lies before has come since, and was copied from here. The copy is
// there before the log has other lines, so it is looked for behind them.
FollowedLog::Found FollowedLog::look_before() {
  const auto files = all_files(path_);
  if (!files) return Found::not_now;
  for (const RotatedFile& file : *files) {
    if (is_open(file)) break;
    if (file.compressed && (!goes_on_ || file.changed <= position_->changed)) continue;
    if (const Found found = begin(file); found != Found::nothing) return found;
  }
  return Found::nothing;
}

FollowedLog::Found FollowedLog::begin_newer_compressed(std::int64_t changed) {
  const auto files = compressed_files(path_);
  if (!files) return Found::not_now;
  for (const RotatedFile& file : *files) {
    if (file.changed <= changed) continue;
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
  if (const Found found = open_rest(); found != Found::nothing) return found == Found::lines;
  const LogPosition lost = *position_;
  const auto files = rotated_files(path_);
  if (!files || files->empty() || begin_in(*files, lost) != Found::lines) return false;
  note_loss(lost, "the begin");
  trouble_ = fmt::format("{}: {}", path_, loss_);
  return true;
}

// The compressed files that may lie between the open one, which is compressed itself by now, and the plain ones. Where
// there are none, nothing is decompressed: a file that kept its time is no newer than when it was open.
FollowedLog::Found FollowedLog::rest_before_others(std::int64_t changed) {
  const auto files = compressed_files(path_);
  if (!files) return Found::not_now;
  const auto later = std::ranges::count_if(*files, [&](const auto& file) { return file.changed > changed; });
  const auto same = std::ranges::count_if(*files, [&](const auto& file) { return file.changed == changed; });
  if (later == 0 && same < 2) return Found::nothing;
  if (const Found found = open_rest(); found != Found::nothing) return found;
  return begin_newer_compressed(changed);  // it was read to its end, and is gone altogether
}

// A file that was left plain may have compressed ones behind it.
FollowedLog::Found FollowedLog::begin_compressed_behind(const RotatedFile& here) {
  const auto files = files_behind(here, path_);
  if (!files) return Found::not_now;
  for (const RotatedFile& file : *files) {
    const Found found = file.compressed ? begin_compressed(file) : Found::nothing;
    if (!file.compressed || found != Found::nothing) return found;
  }
  return Found::nothing;
}

// True: it has gone over to a file that has lines, or was compressed and may have some.
bool FollowedLog::next_behind_rest() {
  if (!rest_->trouble().empty()) trouble_ = rest_->trouble();
  const auto files = files_behind(rest_->file(), path_);
  if (!files) return false;
  for (const RotatedFile& file : *files) {
    if (const Found found = begin(file); found != Found::nothing) return found == Found::lines;
  }
  return false;
}

// The first one behind the open file that has lines; `changed`: when that was written last. By the time that a file has
// lines, all is there that comes before them: so it is looked for once more, here and among the files.
bool FollowedLog::next_of(std::int64_t changed) {
  const auto files = rotated_files(path_);
  if (!files) return false;
  const auto here = std::ranges::find_if(*files, [&](const RotatedFile& file) { return is_open(file); });
  if (here == files->end()) {
    if (const Found found = rest_before_others(changed); found != Found::nothing) return found == Found::lines;
  } else if (const Found found = begin_compressed_behind(*here); found != Found::nothing) {
    return found == Found::lines;
  }
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
  if (rest_ != nullptr) return next_behind_rest();
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
  return next_of(change_of(s));
}

// Between a rotation and the next line nobody may have created the log yet.
std::string FollowedLog::trouble() const {
  if (!trouble_.empty()) return trouble_;
  const int error = try_to_open(path_);
  const bool is_to_come = error == ENOENT && (file_ != nullptr || rest_ != nullptr) && look_at_folder(path_);
  return error == 0 || is_to_come ? "" : why_not_open(path_, error);
}

}  // namespace replygate
