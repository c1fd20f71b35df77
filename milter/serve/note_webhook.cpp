#include <fmt/format.h>
#include <fmt/ostream.h>

#include <array>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/http.hpp>
#include <boost/json.hpp>

#include "milter/net/tls.h"
#include "milter/serve/note_carrier.h"
#include "milter/serve/note_steps.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using net::Error;

constexpr std::size_t kMostAnswer = std::size_t{64} << 10;

// Of the header of an answer. Throws where it is none.
unsigned status_of(const std::string& answer) {
  http::response_parser<http::empty_body> parser;
  parser.skip(true);
  parser.header_limit(kMostAnswer);
  Error error;
  parser.put(asio::buffer(answer), error);
  if (error && error != http::error::need_more) throw std::runtime_error("reading: " + error.message());
  return parser.get().result_int();
}

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

  // What is for a user is for nobody else.
  bool is_for(const Note& note) const override { return note.to.empty(); }

  tl::expected<void, std::string> carry(const Note& note) override try {
    http::request<http::string_body> request(http::verb::post, url_.target, 11);
    request.set(http::field::host, url_.host + ":" + url_.port);
    request.set(http::field::user_agent, "replygate");
    request.set(http::field::content_type, "application/json");
    request.body() = boost::json::serialize(boost::json::object{
        {"event", note.event}, {"host", host_name()}, {"subject", note.subject}, {"text", note.text}});
    request.prepare_payload();
    const std::string answer = exchange(fmt::format("{}", fmt::streamed(request)));
    const unsigned status = status_of(answer);
    if (status < 200 || status > 299) throw std::runtime_error(fmt::format("was answered {}", status));
    return {};
  } catch (const std::exception& error) {
    return tl::unexpected(fmt::format("webhook {}: {}", url_.host, error.what()));
  }

  void stop() override { steps_.stop(); }

 private:
  // What the server says before it closes, or as much of it as is read.
  std::string exchange(const std::string& request) {
    asio::io_context& io = steps_.begin();
    net::Resolver resolver(io);
    std::vector<StreamEndpoint> addresses;
    steps_.run("looking up", [&](auto done) {
      net::resolve(resolver, url_.host, url_.port, [&addresses, done](Error e, auto found) mutable {
        addresses = std::move(found);
        done(e);
      });
    });
    StreamSocket socket(io);
    steps_.run("connecting", [&](auto done) { net::connect(socket, addresses, done); });
    if (!url_.tls) {
      steps_.run("writing", [&](auto done) { net::write(socket, request, done); });
      return answer([&](std::span<char> into, net::Moved read) { net::read_some(socket, into, std::move(read)); });
    }
    net::TlsStream stream(socket, tls_, url_.host);
    steps_.run("TLS", [&](auto done) { stream.handshake(done); });
    steps_.run("writing", [&](auto done) { stream.write(request, done); });
    return answer([&](std::span<char> into, net::Moved read) { stream.read_some(into, std::move(read)); });
  }

  // Up to the end of the header, which is all that counts.
  template <typename Read>
  std::string answer(Read read) {
    std::string text;
    std::array<char, 4096> part{};
    while (text.find("\r\n\r\n") == std::string::npos) {
      std::size_t size = 0;
      steps_.run("reading", [&](auto done) {
        read(part, [&size, done](Error e, std::size_t n) mutable {
          size = n;
          done(e);
        });
      });
      text.append(part.data(), size);
      if (text.size() > kMostAnswer) throw std::runtime_error("reading: the header has no end");
    }
    return text;
  }

  Steps steps_;
  Url url_;
  asio::ssl::context tls_{asio::ssl::context::tls_client};
};

}  // namespace

std::unique_ptr<NoteCarrier> webhook_carrier(const std::string& url, std::chrono::milliseconds patience) {
  return std::make_unique<Webhook>(url, patience);
}

}  // namespace replygate
