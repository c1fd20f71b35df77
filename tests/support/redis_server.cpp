#include "tests/support/redis_server.h"

#include <fcntl.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <thread>

namespace replygate::test {

RedisServer::RedisServer(std::vector<std::string> settings) : settings_(std::move(settings)) { start(); }

RedisServer::~RedisServer() { kill(); }

void RedisServer::start() {
  std::vector<std::string> words = {
      "redis-server", "--unixsocket", socket(), "--save", "", "--appendonly", "no", "--dir", folder_.path().string()};
  if (settings_.empty()) settings_ = {"--port", "0"};
  words.insert(words.end(), settings_.begin(), settings_.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    const int nowhere = ::open("/dev/null", O_RDWR);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execvp(arguments[0], arguments.data());
    std::_Exit(127);
  }
  for (int i = 0; i < 2000; ++i) {
    if (ask({"PING"}).find_first_of("PN") == 0) return;  // PONG, or NOAUTH
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  throw std::runtime_error("redis-server does not come up; is the package redis-server installed?");
}

std::string RedisServer::ask(std::initializer_list<std::string_view> words) const {
  std::string line = "redis-cli -s " + socket();
  for (const std::string_view word : words) line += " '" + std::string(word) + "'";
  line += " 2>&1";
  FILE* pipe = ::popen(line.c_str(), "r");
  std::string said;
  std::array<char, 4096> part{};
  while (const std::size_t size = std::fread(part.data(), 1, part.size(), pipe)) said.append(part.data(), size);
  ::pclose(pipe);
  return said;
}

int RedisServer::calls(const std::string& command) const {
  const std::string said = ask({"INFO", "commandstats"});
  const std::string name = "cmdstat_" + command + ":calls=";
  const std::size_t at = said.find(name);
  return at == std::string::npos ? 0 : std::stoi(said.substr(at + name.size()));
}

void RedisServer::signal(int number) const { ::kill(pid_, number); }

void RedisServer::kill() {
  if (pid_ < 0) return;
  signal(SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

}  // namespace replygate::test
