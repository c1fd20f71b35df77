#include "milter/log/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "milter/descriptor.h"
#include "milter/log/say.h"

namespace replygate {
namespace {

constexpr std::chrono::seconds kPatience{2};

// The daemon's umask keeps what it creates to itself; its log is for a group, too: that of the folder, if that is
// set-gid.
int open_log(const std::string& path) {
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC;
  const int fresh = ::open(path.c_str(), kFlags | O_EXCL, 0640);
  if (fresh < 0) return errno == EEXIST ? ::open(path.c_str(), kFlags, 0640) : -1;
  static_cast<void>(::fchmod(fresh, 0640));
  return fresh;
}

bool is_at(int fd, const std::string& path) {
  struct stat open{};
  struct stat there{};
  return ::fstat(fd, &open) == 0 && ::stat(path.c_str(), &there) == 0 && open.st_dev == there.st_dev &&
         open.st_ino == there.st_ino;
}

}  // namespace

Writer::Writer(int fd, bool owns, std::string name)
    : fd_(fd), owns_(owns), backlog_(std::move(name), [this](const Backlog::Entries& e) { return deliver(e); }) {}

tl::expected<std::unique_ptr<Writer>, std::string> Writer::to_file(const std::string& path) {
  const int fd = open_log(path);
  if (fd < 0) {
    return tl::unexpected(fmt::format("cannot open the log {}: {}", path, std::generic_category().message(errno)));
  }
  auto writer = std::make_unique<Writer>(fd, true, path);
  writer->rotates_ = true;
  return writer;
}

Writer::~Writer() { close(); }

void Writer::close() {
  backlog_.close();
  if (owns_ && fd_ >= 0) ::close(fd_);
  owns_ = false;
}

bool Writer::deliver(const Backlog::Entries& entries) {
  if (rotates_ && !follow_rotation()) return false;
  std::string text = torn_ ? "\n" : "";
  for (const std::string& entry : entries) text += entry;
  if (!write_all(text)) {
    const std::lock_guard lock(mutex_);
    unwritten_ = text.size();
    return false;
  }
  note_trouble("", 0);
  return true;
}

bool Writer::follow_rotation() {
  if (!is_at(fd_, name())) {
    const int fresh = open_log(name());
    if (fresh < 0) {
      note_trouble(fmt::format("{} is gone, and cannot be opened: {}; what is to be written is lost", name(),
                               std::generic_category().message(errno)),
                   0);
      return false;
    }
    ::close(fd_);
    fd_ = fresh;
  }
  return true;
}

void Writer::note_trouble(const std::string& trouble, int failure) {
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  if (trouble_ == trouble) return;
  say(trouble.empty() ? fmt::format("in order again after: {}", trouble_) : trouble);
  trouble_ = trouble;
}

// Nobody may write for a while after a disk was full. What else went wrong is over with the next line.
bool Writer::has_room_again() const {
  struct stat file{};
  struct statvfs disk{};
  if (failure_ != ENOSPC || ::stat(name().c_str(), &file) != 0 || !S_ISREG(file.st_mode)) return false;
  return ::statvfs(name().c_str(), &disk) == 0 && disk.f_bavail * disk.f_frsize > 2 * unwritten_;
}

std::string Writer::trouble() const {
  const std::lock_guard lock(mutex_);
  if (trouble_.empty()) return "";
  if (failure_ != 0) return has_room_again() ? "" : trouble_;
  const Descriptor opened(open_log(name()));  // as the next line would have it
  return opened.get() < 0 ? trouble_ : "";
}

bool Writer::write_all(std::string_view text) {
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  for (std::size_t written = 0; written < text.size();) {
    const ssize_t count = ::write(fd_, text.data() + written, text.size() - written);
    if (count >= 0) {
      written += static_cast<std::size_t>(count);
      continue;
    }
    if (errno == EINTR) continue;
    const bool late = errno == EAGAIN && backlog_.closing() && std::chrono::steady_clock::now() > give_up;
    if (errno != EAGAIN || late) {
      const int failure = errno;
      const std::string why = late ? "nobody reads it" : std::generic_category().message(failure);
      note_trouble(fmt::format("cannot write to {}: {}; what is to be written is lost", name(), why), failure);
      take_back(text.substr(0, written));
      return false;
    }
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    ::poll(&ready, 1, 100);
  }
  torn_ = false;
  return true;
}

// The beginning of a line that could not be written to its end. Where it cannot be taken back, out of a pipe for
// instance, the next line begins behind an LF.
void Writer::take_back(std::string_view written) {
  if (written.empty()) return;
  const std::size_t lf = written.rfind('\n');
  const std::size_t cut = lf == std::string_view::npos ? written.size() : written.size() - lf - 1;
  torn_ = cut > 0 || (torn_ && lf == std::string_view::npos);
  struct stat s{};
  if (cut == 0 || ::fstat(fd_, &s) != 0 || !S_ISREG(s.st_mode)) return;
  torn_ = ::ftruncate(fd_, s.st_size - static_cast<off_t>(cut)) != 0;
}

}  // namespace replygate
