#include "milter/host/program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace replygate {
namespace {

// As a daemon's environment often lacks them.
std::string path_of(const std::string& name) {
  std::string folders = "/usr/sbin:/sbin:/usr/bin:/bin";
  if (const char* path = ::secure_getenv("PATH")) folders = std::string(path) + ':' + folders;
  for (std::size_t at = 0; at <= folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    const std::string file = folders.substr(at, end - at) + '/' + name;
    if (::access(file.c_str(), X_OK) == 0) return file;
    at = end + 1;
  }
  return "";
}

// Both at once: a program that fills one pipe while the other is read would wait for ever.
void read_both(std::array<int, 2> from, std::array<std::string*, 2> into) {
  std::array<pollfd, 2> waiting = {pollfd{from[0], POLLIN, 0}, pollfd{from[1], POLLIN, 0}};
  std::array<char, 65536> chunk{};
  while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      if (waiting[i].fd < 0 || waiting[i].revents == 0) continue;
      const ssize_t count = ::read(waiting[i].fd, chunk.data(), chunk.size());
      if (count > 0) into[i]->append(chunk.data(), static_cast<std::size_t>(count));
      if (count == 0 || (count < 0 && errno != EINTR)) waiting[i].fd = -1;
    }
  }
}

struct Pipe {
  std::array<int, 2> ends = {-1, -1};

  Pipe() = default;
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close(0);
    close(1);
  }
  bool open() { return ::pipe2(ends.data(), O_CLOEXEC) == 0; }
  void close(std::size_t end) {
    if (ends[end] >= 0) ::close(ends[end]);
    ends[end] = -1;
  }
};

// The child, or 0.
pid_t start(const std::string& file, const std::vector<std::string>& words, const Pipe& output, const Pipe& messages) {
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output.ends[1], STDOUT_FILENO);
  if (messages.ends[1] >= 0) posix_spawn_file_actions_adddup2(&actions, messages.ends[1], STDERR_FILENO);
  pid_t child = 0;
  const bool started = ::posix_spawn(&child, file.c_str(), &actions, nullptr, arguments.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  return started ? child : 0;
}

int exit_status_of(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

}  // namespace

std::optional<ProgramResult> run_program(const std::vector<std::string>& words, Messages messages) {
  const std::string file = path_of(words.front());
  Pipe output;
  Pipe errors;
  if (file.empty() || !output.open() || (messages == Messages::kept && !errors.open())) return std::nullopt;
  const pid_t child = start(file, words, output, errors);
  if (child == 0) return std::nullopt;
  output.close(1);
  errors.close(1);
  ProgramResult result;
  read_both({output.ends[0], errors.ends[0]}, {&result.output, &result.messages});
  result.status = exit_status_of(child);
  return result;
}

}  // namespace replygate
