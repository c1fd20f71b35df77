#include "milter/store/redis_reply.h"

#include <fmt/compile.h>
#include <fmt/format.h>

#include <iterator>

#include "policy/mail/text.h"

namespace replygate::redis {
namespace {

constexpr int kMostElements = 1 << 16;

decltype(redisReplyObjectFunctions::createArray) plain_array;  // hiredis's own; set once

// hiredis makes room for as many elements as a server says that there will be.
template <typename Count>
void* bounded_array(const redisReadTask* task, Count elements) {
  return elements > Count{kMostElements} ? nullptr : plain_array(task, elements);
}

}  // namespace

std::string command(const std::vector<std::string_view>& words) {
  constexpr std::size_t kFrame = 16;  // of a word, or less
  std::size_t size = kFrame;
  for (const std::string_view word : words) size += word.size() + kFrame;
  std::string octets;
  octets.reserve(size);
  fmt::format_to(std::back_inserter(octets), FMT_COMPILE("*{}\r\n"), words.size());
  for (const std::string_view word : words) {
    fmt::format_to(std::back_inserter(octets), FMT_COMPILE("${}\r\n{}\r\n"), word.size(), word);
  }
  return octets;
}

redisReader* ReplyReader::create() {
  static const redisReplyObjectFunctions bounded = [] {
    redisReader* plain = redisReaderCreate();
    redisReplyObjectFunctions functions = *plain->fn;
    plain_array = functions.createArray;
    functions.createArray = bounded_array;
    redisReaderFree(plain);
    return functions;
  }();
  redisReader* reader = redisReaderCreate();
  reader->fn = const_cast<redisReplyObjectFunctions*>(&bounded);  // hiredis only reads it
  return reader;
}

std::optional<Reply> ReplyReader::next() {
  void* raw = nullptr;
  if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) return std::nullopt;
  return Reply(static_cast<redisReply*>(raw));
}

std::string_view text_of(const redisReply& reply) {
  return reply.str == nullptr ? std::string_view() : std::string_view(reply.str, static_cast<std::size_t>(reply.len));
}

std::string_view error_word(const redisReply& reply) {
  if (reply.type != REDIS_REPLY_ERROR) return "";
  const std::string_view text = text_of(reply);
  return text.substr(0, text.find(' '));
}

std::optional<SocketAddress> moved_to(std::string_view error) {
  const std::vector<std::string_view> words = split(error, ' ');
  if (words.size() != 3) return std::nullopt;
  const std::size_t colon = words[2].rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view host = words[2].substr(0, colon);
  const bool v6 = host.find(':') != std::string_view::npos;
  return SocketAddress::parse_server(fmt::format("{}:{}@{}", v6 ? "inet6" : "inet", words[2].substr(colon + 1), host));
}

}  // namespace replygate::redis
