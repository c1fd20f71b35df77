#pragma once

#include <hiredis/hiredis.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load/socket.h"

// hiredis's codec with owners; nothing of its I/O is used.
namespace replygate::redis {

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, FreeReply>;

// The octets of one command.
std::string command(const std::vector<std::string_view>& words);

// Replies out of octets that end anywhere.
class ReplyReader {
 public:
  // The next whole reply; null where there is none yet. Once something came that is no reply, nothing, for good.
  std::optional<Reply> next();
  void feed(const char* octets, std::size_t size) { redisReaderFeed(reader_.get(), octets, size); }

 private:
  struct Free {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  static redisReader* create();
  std::unique_ptr<redisReader, Free> reader_{create()};
};

// The first word of an error, "NOAUTH"; "" where the reply is none.
std::string_view error_word(const redisReply& reply);
std::string_view text_of(const redisReply& reply);

// Where "MOVED 3999 192.0.2.1:6381" sends; nothing where it names no address.
std::optional<SocketAddress> moved_to(std::string_view error);

}  // namespace replygate::redis
