#include "milter/serve/control_client.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/serve/control_commands.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Error = boost::system::error_code;

constexpr std::chrono::seconds kPatience{60};

}  // namespace

tl::expected<std::unique_ptr<ControlClient>, std::string> ControlClient::connect(const std::string& path) {
  std::unique_ptr<ControlClient> client(new ControlClient);
  Error error = asio::error::name_too_long;
  if (path.size() <= 107) client->socket_.connect(path, error);
  if (!error) return client;
  const bool permission = error == boost::system::errc::permission_denied;
  return tl::unexpected(fmt::format("{}: {}; {}", path, error.message(),
                                    permission ? "be root, or a member of the group replygate"
                                               : "is the daemon running? `systemctl status replygate`"));
}

tl::expected<std::string, std::string> ControlClient::line() {
  heard_ = asio::error::timed_out;
  asio::async_read_until(socket_, asio::dynamic_buffer(in_), '\n', [this](Error error, std::size_t size) {
    heard_ = error;
    size_ = size;
  });
  io_.restart();
  io_.run_for(kPatience);
  if (heard_) return tl::unexpected(fmt::format("the daemon did not answer: {}", heard_.message()));
  std::string text = in_.substr(0, size_);
  in_.erase(0, size_);
  return text;
}

tl::expected<json::object, std::string> ControlClient::ask(json::object request) {
  request["v"] = kControlVersion;
  Error error;
  asio::write(socket_, asio::buffer(json::serialize(request) + '\n'), error);
  const auto text = line();
  if (!text) return tl::unexpected(text.error());
  json::value answer = json::parse(*text, error);
  if (error || !answer.is_object()) return tl::unexpected(std::string("the daemon's answer makes no sense"));
  return std::move(answer.as_object());
}

std::optional<std::string> ControlClient::next_line() {
  Error error;
  const std::size_t size = asio::read_until(socket_, asio::dynamic_buffer(in_), '\n', error);
  if (error) return std::nullopt;
  std::string text = in_.substr(0, size - 1);
  in_.erase(0, size);
  return text;
}

}  // namespace replygate
