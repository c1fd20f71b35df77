#include "milter/log/writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "milter/log/say.h"

namespace replygate {
namespace {

constexpr std::chrono::seconds kPatience{2};
constexpr std::chrono::seconds kLook{1};

int open_log(const std::string& path) { return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640); }

bool is_at(int fd, const std::string& path) {
  struct stat open {};
  struct stat there {};
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
  if (rotates_) follow_rotation();
  std::string text;
  for (const std::string& entry : entries) text += entry;
  return write_all(text);
}

void Writer::follow_rotation() {
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < kLook) return;
  looked_ = now;
  if (is_at(fd_, name())) return;
  const int fresh = open_log(name());
  if (fresh < 0) return;  // the old file goes on
  ::close(fd_);
  fd_ = fresh;
}

bool Writer::write_all(std::string_view text) {
  const auto give_up = std::chrono::steady_clock::now() + kPatience;
  while (!text.empty()) {
    const ssize_t count = ::write(fd_, text.data(), text.size());
    if (count >= 0) {
      text.remove_prefix(static_cast<std::size_t>(count));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) {
      say(fmt::format("cannot write to {}: error {}; {} octets of log are lost", name(), errno, text.size()));
      return false;
    }
    pollfd ready{.fd = fd_, .events = POLLOUT, .revents = 0};
    ::poll(&ready, 1, 100);
    if (backlog_.closing() && std::chrono::steady_clock::now() > give_up) return false;
  }
  return true;
}

}  // namespace replygate
