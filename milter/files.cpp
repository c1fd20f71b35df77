#include "milter/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <vector>

#include "milter/descriptor.h"
#include "milter/lookup/database_keys.h"
#include "policy/load/lookup_table.h"

namespace replygate {
namespace {

constexpr std::size_t kMostOctetsOfTable = std::size_t{1} << 20U;
constexpr std::size_t kMoreOctets = 4096;  // read beyond those that a file is said to have

// One a line, sorted. Patterns are for the name of a file, not for folders. A folder that is not there has none.
std::optional<std::string> matching_paths(const std::string& pattern, std::string& why) {
  const std::filesystem::path path(pattern);
  const std::string name = path.filename().string();
  std::error_code error;
  std::vector<std::string> found;
  std::filesystem::directory_iterator entry(path.has_parent_path() ? path.parent_path() : ".", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const std::string candidate = entry->path().filename().string();
    if (::fnmatch(name.c_str(), candidate.c_str(), FNM_PERIOD) == 0) {
      found.push_back((path.parent_path() / candidate).string());
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    why = error.message();
    return std::nullopt;
  }
  std::ranges::sort(found);
  return fmt::format("{}{}", fmt::join(found, "\n"), found.empty() ? "" : "\n");
}

std::string last_error() { return std::generic_category().message(errno); }

bool write_whole(const std::string& path, std::string_view text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file < 0) return false;
  bool good = true;
  while (good && !text.empty()) {
    const ssize_t count = ::write(file, text.data(), text.size());
    good = count > 0 || (count < 0 && errno == EINTR);
    if (count > 0) text.remove_prefix(static_cast<std::size_t>(count));
  }
  good = good && ::fsync(file) == 0;
  const int error = errno;
  ::close(file);
  errno = error;
  return good;
}

// Owner before mode: chown clears some bits of it.
bool take_rights(const std::string& path, const std::string& like) {
  struct stat s{};
  if (like.empty()) return true;
  return ::stat(like.c_str(), &s) == 0 && ::chown(path.c_str(), s.st_uid, s.st_gid) == 0 &&
         ::chmod(path.c_str(), s.st_mode & 07777U) == 0;
}

// A new name outlives a power cut once its folder is on disk. File systems that cannot do that for a folder say EINVAL.
bool sync_folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const Descriptor descriptor(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return descriptor.get() >= 0 && (::fsync(descriptor.get()) == 0 || errno == EINVAL);
}

// In one go where the file has the size that it is said to have; it may grow meanwhile.
std::optional<std::string> read_all(int file, std::size_t likely, std::size_t most, std::string& why) {
  std::string text;
  std::size_t end = 0;
  for (;;) {
    if (end > most || likely > most) {
      why = fmt::format("larger than {} MiB", most >> 20U);
      return std::nullopt;
    }
    if (end == text.size()) text.resize(std::max(likely, end) + kMoreOctets);
    const ssize_t count = ::read(file, text.data() + end, text.size() - end);
    if (count == 0) break;
    if (count > 0) {
      end += static_cast<std::size_t>(count);
    } else if (errno != EINTR) {
      why = last_error();
      return std::nullopt;
    }
  }
  text.resize(end);
  return text;
}

}  // namespace

Presence look_for(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) == 0) return Presence::present;
  return errno == ENOENT || errno == ENOTDIR ? Presence::absent : Presence::unknown;
}

std::string stamp_of_file(const std::string& path) {
  struct stat s{};
  if (::stat(path.c_str(), &s) != 0) return "absent";
  return fmt::format("{}:{}:{}:{}.{}:{}.{}", s.st_dev, s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec,
                     s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
}

std::optional<std::string> read_file(const std::string& path, std::string& why, std::size_t most) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status{};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    why = last_error();
    return std::nullopt;
  }
  if (!S_ISREG(status.st_mode)) {
    why = "no regular file";
    return std::nullopt;
  }
  return read_all(file.get(), static_cast<std::size_t>(status.st_size), most, why);
}

std::optional<std::string> read_source(const DataSource& source, std::string& why) {
  switch (source.kind) {
    case DataSource::Kind::file: return read_file(source.path, why);
    case DataSource::Kind::glob: return matching_paths(source.path, why);
    case DataSource::Kind::sqlite: return sqlite_rows(source, why);
    case DataSource::Kind::cdb: return cdb_keys(source, why);
    case DataSource::Kind::lmdb: return lmdb_keys(source, why);
    case DataSource::Kind::lookup_table: {
      const auto text = read_file(source.path, why, kMostOctetsOfTable);
      return text ? std::optional(without_passwords(*text)) : std::nullopt;
    }
  }
  return std::nullopt;
}

std::string in_one_line(const Diagnostic& diagnostic, const Sources& sources) {
  const std::string text = render(diagnostic, sources);
  const Region& region = diagnostic.primary.region;
  const std::string place = region.line > 0 ? fmt::format(" ({}:{})", region.file.get(), region.line) : "";
  return text.substr(0, text.find('\n')) + place;
}

std::string first_error(const Loaded& loaded) {
  const auto it = std::ranges::find(loaded.diagnostics, Diagnostic::Level::error, &Diagnostic::level);
  return it == loaded.diagnostics.end() ? "" : in_one_line(*it, loaded.sources);
}

Loaded load_policy_file(const std::string& path) { return load_policy(path, read_source); }

tl::expected<void, std::string> replace_file(const std::string& path, std::string_view text, const std::string& like) {
  const std::string beside = path + ".new";
  if (write_whole(beside, text) && take_rights(beside, like) && ::rename(beside.c_str(), path.c_str()) == 0) {
    if (sync_folder_of(path)) return {};
    return tl::unexpected(fmt::format("{}: its folder cannot be brought to disk: {}", path, last_error()));
  }
  std::string why = fmt::format("{}: {}", path, std::generic_category().message(errno));
  ::unlink(beside.c_str());
  return tl::unexpected(std::move(why));
}

}  // namespace replygate
