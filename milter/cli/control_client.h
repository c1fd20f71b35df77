#pragma once

#include <boost/asio.hpp>
#include <boost/json/object.hpp>
#include <functional>
#include <string>
#include <tl/expected.hpp>

#include "milter/cli/commands.h"

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
  tl::expected<std::string, std::string> line();

  boost::asio::io_context io_{1};
  boost::asio::local::stream_protocol::socket socket_;
  std::string in_;
};

// Asks the daemon, and on success prints `result`: as JSON where that is wanted, else by `print`, whose status it
// gives. Messages go to stderr.
int ask_daemon(const ControlOptions& options, boost::json::object request,
               const std::function<int(const boost::json::object& result)>& print);

// Members of answers; "" and 0 where they are not there.
std::string text_at(const boost::json::object& object, std::string_view key);
double number_at(const boost::json::object& object, std::string_view key);
bool flag_at(const boost::json::object& object, std::string_view key);
const boost::json::object& object_at(const boost::json::object& object, std::string_view key);
const boost::json::array& array_at(const boost::json::object& object, std::string_view key);

}  // namespace replygate
