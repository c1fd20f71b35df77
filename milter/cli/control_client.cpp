#include "milter/cli/control_client.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "milter/log/say.h"
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
  Error result = asio::error::timed_out;
  std::size_t size = 0;
  asio::async_read_until(socket_, asio::dynamic_buffer(in_), '\n', [&](Error error, std::size_t n) {
    result = error;
    size = n;
  });
  io_.restart();
  io_.run_for(kPatience);
  if (result) return tl::unexpected(fmt::format("the daemon did not answer: {}", result.message()));
  std::string text = in_.substr(0, size);
  in_.erase(0, size);
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

int ask_daemon(const ControlOptions& options, json::object request,
               const std::function<int(const json::object& result)>& print) {
  const auto client = ControlClient::connect(options.socket);
  if (!client) {
    say(client.error());
    return kUnavailable;
  }
  const auto answer = (*client)->ask(std::move(request));
  if (!answer) {
    say(answer.error());
    return kUnavailable;
  }
  if (const std::string error = text_at(*answer, "error"); !error.empty()) {
    if (const std::string messages = text_at(object_at(*answer, "result"), "messages"); !messages.empty()) {
      fmt::print(stderr, "{}", messages);
    }
    say(error);
    const int status = static_cast<int>(number_at(*answer, "status"));
    return status == kFine ? kInternal : status;
  }
  const json::object& result = object_at(*answer, "result");
  if (!options.json) return print(result);
  fmt::print("{}\n", json::serialize(result));
  return kFine;
}

std::string text_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_string() ? std::string(value->as_string()) : "";
}

double number_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  Error error;
  const double number = value == nullptr ? 0 : value->to_number<double>(error);
  return error ? 0 : number;
}

bool flag_at(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_bool() && value->as_bool();
}

const json::object& object_at(const json::object& object, std::string_view key) {
  static const json::object none;
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_object() ? value->as_object() : none;
}

const json::array& array_at(const json::object& object, std::string_view key) {
  static const json::array none;
  const json::value* value = object.if_contains(key);
  return value != nullptr && value->is_array() ? value->as_array() : none;
}

}  // namespace replygate
