#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "milter/net/stream.h"

namespace replygate {

// A connection to the control socket of the running daemon. Blocking, with a deadline of a minute for an answer. One
// thread.
class ControlClient {
 public:
  // On failure the reason, and what to do, for people.
  static tl::expected<std::unique_ptr<ControlClient>, std::string> connect(const std::string& path);

  // Sends a request and gives the answer to it. On failure the reason, for people.
  tl::expected<boost::json::object, std::string> ask(boost::json::object request);
  // The next line, for as long as it takes, without LF; nothing once the daemon is gone.
  std::optional<std::string> next_line();

 private:
  ControlClient() : socket_(io_) {}
  void hear_line();  // begins to; heard_ and size_ say what came of it
  tl::expected<std::string, std::string> line();

  boost::asio::io_context io_{1};
  StreamSocket socket_;
  std::string in_;
  // Of the line that is waited for.
  boost::system::error_code heard_;
  std::size_t size_ = 0;
};

}  // namespace replygate
