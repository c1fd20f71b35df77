#include "milter/host/program.h"

#include <fcntl.h>
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

std::string read_all(int fd) {
  std::string text;
  std::array<char, 65536> chunk{};
  for (ssize_t count = 0; (count = ::read(fd, chunk.data(), chunk.size())) != 0;) {
    if (count > 0) text.append(chunk.data(), static_cast<std::size_t>(count));
    if (count < 0 && errno != EINTR) break;
  }
  return text;
}

}  // namespace

std::optional<ProgramResult> run_program(const std::vector<std::string>& words) {
  const std::string file = path_of(words.front());
  std::array<int, 2> pipe{};
  if (file.empty() || ::pipe2(pipe.data(), O_CLOEXEC) != 0) return std::nullopt;
  std::vector<std::string> copies = words;
  std::vector<char*> arguments;
  for (std::string& word : copies) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  pid_t child = 0;
  const bool started = ::posix_spawn(&child, file.c_str(), &actions, nullptr, arguments.data(), environ) == 0;
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  ProgramResult result;
  if (started) result.output = read_all(pipe[0]);
  ::close(pipe[0]);
  if (!started) return std::nullopt;
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return result;
}

}  // namespace replygate
