#include "milter/outcome/rotated_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <set>
#include <span>
#include <string_view>
#include <tuple>
#include <utility>

#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBegins = 64;  // octets: the time of the first line

bool is_compressed_log(std::string_view name) {
  constexpr std::array<std::string_view, 4> kEnds = {".gz", ".xz", ".zst", ".bz2"};
  return std::ranges::any_of(kEnds, [&](std::string_view end) { return name.ends_with(end); });
}

std::string beginning_of(const std::string& path) {
  std::string octets(kBegins, '\0');
  const auto file = open_regular(path);
  const ssize_t read = file == nullptr ? -1 : ::pread(file->get(), octets.data(), octets.size(), 0);
  octets.resize(static_cast<std::size_t>(std::max<ssize_t>(read, 0)));
  return octets;
}

// A file system's clock may be slower than rotations are: then their lines tell, which begin with their time.
void order_by_age(std::vector<RotatedFile>& files) {
  const auto times = [](const RotatedFile& file) { return std::pair(file.changed, file.moved); };
  std::ranges::sort(files, {}, times);
  for (auto first = files.begin(); first != files.end();) {
    const auto end = std::find_if(first, files.end(), [&](const auto& file) { return times(file) != times(*first); });
    if (end - first > 1) {
      std::for_each(first, end, [](RotatedFile& file) { file.begins = beginning_of(file.path); });
      std::ranges::sort(first, end, {}, &RotatedFile::begins);
    }
    first = end;
  }
}

// A link is no other file.
void drop_second_names(std::vector<RotatedFile>& files, const std::optional<RotatedFile>& live) {
  std::set<std::pair<std::uint64_t, std::uint64_t>> seen;
  if (live) seen.emplace(live->device, live->inode);
  std::erase_if(files, [&](const RotatedFile& file) { return !seen.emplace(file.device, file.inode).second; });
}

std::string folder_of(const std::string& log) {
  const fs::path path(log);
  return path.has_parent_path() ? path.parent_path().string() : ".";
}

}  // namespace

bool is_rotation_of(std::string_view log, std::string_view name) {
  if (!name.starts_with(log) || name.size() < log.size() + 2) return false;
  const std::string_view rest = name.substr(log.size());
  return (rest.front() == '.' || rest.front() == '-') && is_digit(rest[1]);
}

std::unique_ptr<Descriptor> open_regular(const std::string& path) {
  auto file = std::make_unique<Descriptor>(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat s{};
  if (file->get() < 0 || ::fstat(file->get(), &s) != 0) return nullptr;
  if (S_ISREG(s.st_mode)) return file;
  errno = EINVAL;
  return nullptr;
}

std::optional<LogFolder> look_at_folder(const std::string& log) {
  const Descriptor folder(::open(folder_of(log).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  struct stat s{};
  if (folder.get() < 0 || ::fstat(folder.get(), &s) != 0) return std::nullopt;
  struct stat entry{};
  const bool absent =
      ::fstatat(folder.get(), fs::path(log).filename().c_str(), &entry, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
  return LogFolder{s.st_dev, s.st_ino, !absent};
}

std::optional<RotatedFile> rotated_file(const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  return RotatedFile{path,
                     s.st_dev,
                     s.st_ino,
                     s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec,
                     s.st_ctim.tv_sec * 1000000000 + s.st_ctim.tv_nsec,
                     static_cast<std::uint64_t>(s.st_size),
                     {}};
}

namespace {

std::vector<RotatedFile> look_at_rotations(const std::string& log) {
  const std::string lead = fs::path(log).filename().string();
  std::vector<RotatedFile> found;
  std::error_code error;
  fs::directory_iterator entry(folder_of(log), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (!is_rotation_of(lead, name) || is_compressed_log(name)) continue;
    if (auto file = rotated_file(entry->path().string())) found.push_back(*std::move(file));
  }
  auto live = rotated_file(log);
  drop_second_names(found, live);
  order_by_age(found);
  if (live) found.push_back(*std::move(live));
  return found;
}

}  // namespace

bool are_same_rotations(const std::vector<RotatedFile>& one, const std::vector<RotatedFile>& other,
                        const std::string& log) {
  const auto rotated = [&](const std::vector<RotatedFile>& files) {
    const bool live = !files.empty() && files.back().path == log;
    return std::span(files).first(files.size() - (live ? 1 : 0));
  };
  return std::ranges::equal(rotated(one), rotated(other), [](const RotatedFile& a, const RotatedFile& b) {
    return std::tie(a.device, a.inode, a.changed, a.size) == std::tie(b.device, b.inode, b.changed, b.size);
  });
}

// A file that gets another name during the look may be seen under neither.
std::optional<std::vector<RotatedFile>> rotated_files(const std::string& log) {
  constexpr int kLooks = 5;
  auto files = look_at_rotations(log);
  for (int i = 0; i < kLooks; ++i) {
    auto again = look_at_rotations(log);
    if (are_same_rotations(files, again, log)) return again;
    files = std::move(again);
  }
  return std::nullopt;
}

}  // namespace replygate
