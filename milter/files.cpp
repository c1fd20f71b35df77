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

#include "milter/lookup/database_keys.h"

namespace replygate {
namespace {

constexpr std::size_t kMostOctets = std::size_t{64} << 20;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

// One a line, sorted. Patterns are for the name of a file, not for folders.
std::string matching_paths(const std::string& pattern) {
  const std::filesystem::path path(pattern);
  const std::string name = path.filename().string();
  std::error_code ignored;
  std::vector<std::string> found;
  for (const auto& entry :
       std::filesystem::directory_iterator(path.has_parent_path() ? path.parent_path() : ".", ignored)) {
    const std::string candidate = entry.path().filename().string();
    if (::fnmatch(name.c_str(), candidate.c_str(), FNM_PERIOD) == 0) {
      found.push_back((path.parent_path() / candidate).string());
    }
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
  ::close(file);
  return good;
}

}  // namespace

std::optional<std::string> read_file(const std::string& path, std::string& why) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    why = last_error();
    return std::nullopt;
  }
  if (!S_ISREG(status.st_mode)) {
    why = "no regular file";
    return std::nullopt;
  }
  std::string text;
  std::string chunk(std::size_t{64} << 10, '\0');
  for (;;) {
    const ssize_t count = ::read(file.get(), chunk.data(), chunk.size());
    if (count == 0) return text;
    if (count < 0) {
      if (errno == EINTR) continue;
      why = last_error();
      return std::nullopt;
    }
    text.append(chunk, 0, static_cast<std::size_t>(count));
    if (text.size() > kMostOctets) {
      why = "larger than 64 MiB";
      return std::nullopt;
    }
  }
}

std::optional<std::string> read_source(const DataSource& source, std::string& why) {
  switch (source.kind) {
    case DataSource::Kind::file: return read_file(source.path, why);
    case DataSource::Kind::glob: return matching_paths(source.path);
    case DataSource::Kind::sqlite: return sqlite_rows(source, why);
    case DataSource::Kind::cdb: return cdb_keys(source, why);
    case DataSource::Kind::lmdb: return lmdb_keys(source, why);
  }
  return std::nullopt;
}

Loaded load_policy_file(const std::string& path) { return load_policy(path, read_source); }

tl::expected<void, std::string> replace_file(const std::string& path, std::string_view text) {
  const std::string beside = path + ".new";
  if (write_whole(beside, text) && ::rename(beside.c_str(), path.c_str()) == 0) return {};
  std::string why = fmt::format("{}: {}", path, std::generic_category().message(errno));
  ::unlink(beside.c_str());
  return tl::unexpected(std::move(why));
}

}  // namespace replygate
