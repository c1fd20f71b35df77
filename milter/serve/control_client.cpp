#include "milter/serve/control_client.h"

#include <fmt/format.h>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/json.hpp>

#include "milter/serve/control_commands.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Error = boost::system::error_code;

constexpr std::chrono::seconds kAnswerPatience{60};

}  // namespace

tl::expected<std::unique_ptr<ControlClient>, std::string> ControlClient::connect(const std::string& path) {
  std::unique_ptr<ControlClient> client(new ControlClient);
  Error error = asio::error::name_too_long;
  if (path.size() <= 107) client->socket_.connect(asio::local::stream_protocol::endpoint(path), error);
  if (!error) return client;
  const bool permission = error == boost::system::errc::permission_denied;
  return tl::unexpected(fmt::format("{}: {}; {}", path, error.message(),
                                    permission ? "be root, or a member of the group replygate"
                                               : "is the daemon running? `systemctl status replygate`"));
}

void ControlClient::hear_line() {
  heard_ = asio::error::timed_out;
  io_.restart();
  net::read_until(socket_, in_, in_.max_size(), "\n", [this](Error error, std::size_t size) {
    heard_ = error;
    size_ = size;
  });
}

tl::expected<std::string, std::string> ControlClient::line() {
  hear_line();
  io_.run_for(kAnswerPatience);
  if (heard_) return tl::unexpected(fmt::format("the daemon did not answer: {}", heard_.message()));
  std::string text = in_.substr(0, size_);
  in_.erase(0, size_);
  return text;
}

tl::expected<json::object, std::string> ControlClient::ask(json::object request) {
  request["v"] = kControlVersion;
  Error error;
  const std::string asked = json::serialize(request) + '\n';
  io_.restart();
  net::write(socket_, asked, [](Error, std::size_t) {});  // an error shows in the answer that does not come
  io_.run_for(kAnswerPatience);
  const auto text = line();
  if (!text) return tl::unexpected(text.error());
  json::value answer = json::parse(*text, error);
  if (error || !answer.is_object()) return tl::unexpected(std::string("the daemon's answer makes no sense"));
  return std::move(answer.as_object());
}

std::optional<std::string> ControlClient::next_line() {
  hear_line();
  io_.run();
  if (heard_) return std::nullopt;
  std::string text = in_.substr(0, size_ - 1);
  in_.erase(0, size_);
  return text;
}

}  // namespace replygate
