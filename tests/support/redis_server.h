#pragma once

#include <sys/types.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/folder.h"

namespace replygate::test {

// A private redis-server on a Unix socket and, if asked, a port. Throws where it does not come up.
class RedisServer {
 public:
  explicit RedisServer(std::vector<std::string> settings = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  std::string address() const { return "unix:" + socket(); }
  std::string socket() const { return folder_.file("redis.sock"); }
  // What redis-cli says to a command.
  std::string ask(std::initializer_list<std::string_view> words) const;

  // How often it was given a command.
  int calls(const std::string& command) const;

  void signal(int number) const;
  void kill();
  void start();

 private:
  Folder folder_;
  std::vector<std::string> settings_;
  pid_t pid_ = -1;
};

}  // namespace replygate::test
