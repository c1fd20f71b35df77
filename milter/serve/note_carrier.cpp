#include "milter/serve/note_carrier.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/json.hpp>
#include <ctime>
#include <mutex>

#include "milter/async_connect.h"
#include "policy/load/socket.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Error = boost::system::error_code;

std::string host_name() {
  std::array<char, 256> name{};
  return ::gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? name.data() : "localhost";
}

// Runs asynchronous steps one after the other, with one deadline for all. What a step has left undone when it fails is
// given up with its context, so that it never comes to its end later.
class Steps {
 public:
  explicit Steps(std::chrono::milliseconds patience) : patience_(patience) {}

  // The context of the steps that follow; those before must be over, their sockets gone.
  asio::io_context& begin() {
    const std::lock_guard lock(mutex_);
    deadline_ = std::chrono::steady_clock::now() + patience_;
    io_ = std::make_unique<asio::io_context>(1);
    return *io_;
  }
  void stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    if (io_ != nullptr) io_->stop();
  }

  // `step` takes the handler of one operation. Throws what went wrong.
  template <typename Step>
  void run(std::string_view doing, Step step) {
    Error result = asio::error::timed_out;
    step([&result](Error error, auto&&...) { result = error; });
    io_->restart();
    if (!stopped_) io_->run_until(deadline_);
    if (result) throw std::runtime_error(fmt::format("{}: {}", doing, result.message()));
  }

 private:
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  std::unique_ptr<asio::io_context> io_;  // exchanged under mutex_, by the thread that runs it
  std::atomic<bool> stopped_{false};
  std::chrono::steady_clock::time_point deadline_;
};

class Mail final : public NoteCarrier {
 public:
  Mail(const NotifySettings& settings, std::chrono::milliseconds patience)
      : steps_(patience),
        to_(settings.to),
        from_(settings.from),
        server_(SocketAddress::parse_server(settings.smtp).value()) {}

  tl::expected<void, std::string> carry(const Note& note) override try {
    StreamSocket socket(steps_.begin());
    steps_.run("connecting", [&](auto done) { async_connect(socket, server_, done); });
    in_.clear();
    expect(socket, "", 220);
    expect(socket, fmt::format("EHLO {}\r\n", host_name()), 250);
    expect(socket, fmt::format("MAIL FROM:<{}>\r\n", from_), 250);
    for (const std::string& to : to_) expect(socket, fmt::format("RCPT TO:<{}>\r\n", to), 250);
    expect(socket, "DATA\r\n", 354);
    expect(socket, message(note), 250);
    expect(socket, "QUIT\r\n", 221);
    return {};
  } catch (const std::exception& error) {
    return tl::unexpected(fmt::format("mail by {}: {}", server_.text(), error.what()));
  }

  void stop() override { steps_.stop(); }

 private:
  // Sends a command and wants a reply of this code.
  void expect(StreamSocket& socket, const std::string& command, int code) {
    steps_.run("writing", [&](auto done) { asio::async_write(socket, asio::buffer(command), done); });
    std::string line;
    do {
      std::size_t size = 0;
      steps_.run("reading", [&](auto done) {
        asio::async_read_until(socket, asio::dynamic_buffer(in_, 4096), '\n',
                               [&size, done](Error e, std::size_t n) mutable {
                                 size = n;
                                 done(e);
                               });
      });
      line = in_.substr(0, size);
      in_.erase(0, size);
    } while (line.size() > 3 && line[3] == '-');
    if (!line.starts_with(std::to_string(code))) {
      throw std::runtime_error(fmt::format("\"{}\" was answered {}", command.substr(0, command.find('\r')),
                                           line.substr(0, line.find('\r'))));
    }
  }

  std::string message(const Note& note) const {
    const std::time_t now = std::time(nullptr);
    std::string text = fmt::format(
        "From: replygate <{}>\r\nTo: {}\r\nSubject: {}\r\nDate: {:%a, %d %b %Y %H:%M:%S +0000}\r\n"
        "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n",
        from_, fmt::join(to_, ", "), note.subject, fmt::gmtime(now));
    std::string_view rest = note.text;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      text += fmt::format("{}{}\r\n", line.starts_with('.') ? "." : "", line);
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    }
    return text + ".\r\n";
  }

  Steps steps_;
  const std::vector<std::string> to_;
  const std::string from_;
  const SocketAddress server_;
  std::string in_;
};

// "https://host:port/target".
struct Url {
  bool tls = false;
  std::string host;
  std::string port;
  std::string target;

  explicit Url(std::string_view text) {
    tls = text.starts_with("https://");
    text.remove_prefix(text.find("//") + 2);
    const std::size_t slash = std::min(text.find('/'), text.size());
    target = slash == text.size() ? "/" : std::string(text.substr(slash));
    const std::string_view authority = text.substr(0, slash);
    const std::size_t colon = authority.rfind(':');
    const bool has_port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
    host = authority.substr(0, has_port ? colon : authority.size());
    port = has_port ? std::string(authority.substr(colon + 1)) : std::to_string(tls ? 443 : 80);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  }
};

class Webhook final : public NoteCarrier {
 public:
  Webhook(const std::string& url, std::chrono::milliseconds patience) : steps_(patience), url_(url) {
    tls_.set_default_verify_paths();
    tls_.set_verify_mode(asio::ssl::verify_peer);
  }

  tl::expected<void, std::string> carry(const Note& note) override try {
    http::request<http::string_body> request(http::verb::post, url_.target, 11);
    request.set(http::field::host, url_.host + ":" + url_.port);
    request.set(http::field::user_agent, "replygate");
    request.set(http::field::content_type, "application/json");
    request.body() = boost::json::serialize(boost::json::object{
        {"event", note.event}, {"host", host_name()}, {"subject", note.subject}, {"text", note.text}});
    request.prepare_payload();
    asio::io_context& io = steps_.begin();
    asio::ip::tcp::resolver::results_type found;
    asio::ip::tcp::resolver resolver(io);
    steps_.run("looking up", [&](auto done) {
      resolver.async_resolve(url_.host, url_.port, [&found, done](Error e, auto results) mutable {
        found = results;
        done(e);
      });
    });
    asio::ssl::stream<asio::ip::tcp::socket> stream(io, tls_);
    steps_.run("connecting", [&](auto done) { asio::async_connect(stream.next_layer(), found, done); });
    if (!url_.tls) {
      post(stream.next_layer(), request);
      return {};
    }
    SSL_ctrl(stream.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, url_.host.data());
    stream.set_verify_callback(asio::ssl::host_name_verification(url_.host));
    steps_.run("TLS", [&](auto done) { stream.async_handshake(asio::ssl::stream_base::client, done); });
    post(stream, request);
    return {};
  } catch (const std::exception& error) {
    return tl::unexpected(fmt::format("webhook {}: {}", url_.host, error.what()));
  }

  void stop() override { steps_.stop(); }

 private:
  template <typename Stream>
  void post(Stream& stream, http::request<http::string_body>& request) {
    steps_.run("writing", [&](auto done) { http::async_write(stream, request, done); });
    beast::flat_buffer buffer{std::size_t{64} << 10};
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::size_t{64} << 10);
    steps_.run("reading", [&](auto done) { http::async_read(stream, buffer, parser, done); });
    const unsigned status = parser.get().result_int();
    if (status < 200 || status > 299) throw std::runtime_error(fmt::format("was answered {}", status));
  }

  Steps steps_;
  Url url_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
};

}  // namespace

std::vector<std::unique_ptr<NoteCarrier>> note_carriers(const NotifySettings& settings,
                                                        std::chrono::milliseconds patience) {
  std::vector<std::unique_ptr<NoteCarrier>> carriers;
  if (!settings.to.empty()) {
    carriers.push_back(std::make_unique<Mail>(settings, patience));
  }
  if (!settings.webhook.empty()) carriers.push_back(std::make_unique<Webhook>(settings.webhook, patience));
  return carriers;
}

}  // namespace replygate
