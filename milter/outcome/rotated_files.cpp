#include "milter/outcome/rotated_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <iterator>
#include <set>
#include <span>
#include <string_view>
#include <system_error>
#include <tuple>
#include <utility>

#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBegins = 64;  // octets: the time of the first line

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

std::string why_not_open(const std::string& path, int error) {
  return fmt::format("{}: {}", path,
                     error == EINVAL ? "it is no regular file" : std::generic_category().message(error));
}

// What is no regular file is not opened: a FIFO's writer would take us for its reader.
int try_to_open(const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) return errno;
  if (!S_ISREG(s.st_mode)) return EINVAL;
  return open_regular(path) == nullptr ? errno : 0;
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

std::int64_t change_of(const struct stat& s) { return s.st_mtim.tv_sec * 1000000000 + s.st_mtim.tv_nsec; }

std::optional<RotatedFile> rotated_file(const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0 || !S_ISREG(s.st_mode)) return std::nullopt;
  return RotatedFile{path,
                     s.st_dev,
                     s.st_ino,
                     change_of(s),
                     s.st_ctim.tv_sec * 1000000000 + s.st_ctim.tv_nsec,
                     static_cast<std::uint64_t>(s.st_size),
                     {},
                     false};
}

namespace {

enum class Which : std::uint8_t { plain, all };

std::vector<RotatedFile> look_at_rotations(const std::string& log, Which which) {
  const std::string lead = fs::path(log).filename().string();
  std::vector<RotatedFile> found;
  std::error_code error;
  fs::directory_iterator entry(folder_of(log), error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    const bool compressed = uncompressed_name(name).has_value();
    if (!is_rotation_of(lead, name) || (compressed && which == Which::plain)) continue;
    auto file = rotated_file(entry->path().string());
    if (!file) continue;
    file->compressed = compressed;
    found.push_back(*std::move(file));
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

namespace {

// A file that gets another name during the look may be seen under neither.
std::optional<std::vector<RotatedFile>> look_until_they_stay(const std::string& log, Which which) {
  constexpr int kLooks = 5;
  auto files = look_at_rotations(log, which);
  for (int i = 0; i < kLooks; ++i) {
    auto again = look_at_rotations(log, which);
    if (are_same_rotations(files, again, log)) return again;
    files = std::move(again);
  }
  return std::nullopt;
}

// What tells a rotated file from others: "2" of "mail.log.2.gz", "20261129" of "mail.log-20261129".
std::string_view label_of(const RotatedFile& file, const std::string& log) {
  std::string_view label = std::string_view(file.path).substr(file.path.rfind('/') + 1);
  label.remove_prefix(fs::path(log).filename().string().size() + 1);
  return file.compressed ? label.substr(0, label.rfind('.')) : label;
}

bool is_number(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_digit); }

// A greater number is an older file, a greater date a newer one. The times of a compressed file may be those of its
// compression, so they count only where names are of neither kind, or of both.
void order_by_names(std::vector<RotatedFile>& files, const std::string& log) {
  constexpr std::size_t kLongestNumber = 4;
  const auto label = [&](const RotatedFile& file) { return label_of(file, log); };
  const auto numbered = [&](const RotatedFile& f) { return is_number(label(f)) && label(f).size() <= kLongestNumber; };
  const auto dated = [&](const RotatedFile& f) { return label(f).size() > kLongestNumber; };
  if (std::ranges::all_of(files, numbered)) {
    const auto age = [&](const RotatedFile& file) { return std::pair(label(file).size(), label(file)); };
    std::ranges::stable_sort(files, std::ranges::greater(), age);
  } else if (std::ranges::all_of(files, dated)) {
    std::ranges::stable_sort(files, {}, label);
  }
}

void drop_half_compressed(std::vector<RotatedFile>& files) {
  std::set<std::string> plain;
  for (const RotatedFile& file : files) {
    if (!file.compressed) plain.insert(file.path);
  }
  std::erase_if(files, [&](const RotatedFile& file) {
    return file.compressed && plain.contains(std::string(*uncompressed_name(file.path)));
  });
}

}  // namespace

std::optional<std::string_view> uncompressed_name(std::string_view name) {
  constexpr std::array<std::string_view, 4> kEnds = {".gz", ".xz", ".zst", ".bz2"};
  const auto end = std::ranges::find_if(kEnds, [&](std::string_view e) { return name.ends_with(e); });
  return end == kEnds.end() ? std::nullopt : std::optional(name.substr(0, name.size() - end->size()));
}

std::optional<std::vector<RotatedFile>> rotated_files(const std::string& log) {
  return look_until_they_stay(log, Which::plain);
}

std::optional<std::vector<RotatedFile>> compressed_files(const std::string& log) {
  auto files = look_until_they_stay(log, Which::all);
  if (!files) return std::nullopt;
  drop_half_compressed(*files);
  std::erase_if(*files, [](const RotatedFile& file) { return !file.compressed; });
  return files;
}

std::optional<std::vector<RotatedFile>> all_files(const std::string& log) {
  auto files = look_until_they_stay(log, Which::all);
  if (!files) return std::nullopt;
  drop_half_compressed(*files);
  std::vector<RotatedFile> live;
  if (!files->empty() && files->back().path == log) {
    live.push_back(std::move(files->back()));
    files->pop_back();
  }
  order_by_names(*files, log);
  std::ranges::move(live, std::back_inserter(*files));
  return files;
}

std::optional<std::vector<RotatedFile>> files_behind(const RotatedFile& rotated, const std::string& log) {
  auto files = all_files(log);
  if (!files) return std::nullopt;
  const auto here = std::ranges::find_if(*files, [&](const RotatedFile& file) { return is_same_file(file, rotated); });
  if (here != files->end()) {
    files->erase(files->begin(), here + 1);
  } else {
    std::erase_if(*files, [&](const RotatedFile& file) { return file.path != log && file.changed <= rotated.changed; });
  }
  return files;
}

}  // namespace replygate
