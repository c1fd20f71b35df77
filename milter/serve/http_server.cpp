#include "milter/serve/http_server.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <optional>
#include <set>

#include "milter/net/stream_service.h"
#include "milter/serve/metrics.h"
#include "milter/serve/report_status.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Error = boost::system::error_code;

constexpr std::size_t kMostHttpConnections = 128;
constexpr int kMostRequests = 100;
constexpr std::chrono::seconds kHttpPatience{10};

bool is_this_host(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  const bool port = colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
  if (port) host = host.substr(0, colon);
  return host == "localhost" || host == "127.0.0.1" || host == "[::1]";
}

bool is_own_origin(std::string_view origin) {
  const std::size_t scheme = origin.find("://");
  return scheme != std::string_view::npos && is_this_host(origin.substr(scheme + 3));
}

void say(HttpResponse& response, http::status status, std::string body) {
  response.result(status);
  response.body() = std::move(body);
}

}  // namespace

HttpResponse answer_http(const HttpRequest& request, const Desk& desk, bool by_path) {
  HttpResponse response;
  response.version(request.version());
  response.keep_alive(request.keep_alive());
  response.set(http::field::content_type, "text/plain; charset=utf-8");
  response.set(http::field::cache_control, "no-store");
  response.set("X-Content-Type-Options", "nosniff");
  const std::string_view host = request[http::field::host];
  const auto origin = request.find(http::field::origin);
  const std::string_view target = std::string_view(request.target()).substr(0, request.target().find('?'));
  // HTTP/1.0 knows no Host, and browsers do not speak it.
  const bool without_host = request.version() < 11 && request.find(http::field::host) == request.end();
  if (!by_path && !without_host && !is_this_host(host)) {
    say(response, http::status::misdirected_request, "this is replygate on localhost\n");
  } else if (origin != request.end() && !is_own_origin(origin->value())) {
    say(response, http::status::forbidden, "not for other sites\n");
  } else if (request.method() != http::verb::get && request.method() != http::verb::head) {
    response.set(http::field::allow, "GET, HEAD");
    say(response, http::status::method_not_allowed, "only GET\n");
  } else if (target == "/metrics") {
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    say(response, http::status::ok, metrics_text(desk));
  } else if (target == "/healthz") {
    say(response, http::status::ok, "ok\n");
  } else if (target == "/readyz") {
    const std::string trouble = why_not_ready(desk);
    say(response, trouble.empty() ? http::status::ok : http::status::service_unavailable,
        trouble.empty() ? "ok\n" : trouble + "\n");
  } else {
    say(response, http::status::not_found, "there are /metrics, /healthz and /readyz\n");
  }
  const std::size_t size = response.body().size();
  if (request.method() == http::verb::head) response.body().clear();
  response.content_length(size);
  return response;
}

class HttpServer::Server {
 public:
  Server(const Desk& desk, const std::string& address)
      : desk_(desk),
        service_(SocketAddress::parse(address).value(), [this](StreamSocket s) { return serve(std::move(s)); }) {}
  ~Server() { stop(); }

  tl::expected<void, std::string> listen() { return service_.listen(); }
  void start() { service_.start(); }
  void stop();

 private:
  class Connection;

  bool serve(StreamSocket socket);
  bool by_path() const { return service_.address().family == SocketAddress::Family::unix_path; }

  const Desk& desk_;
  std::set<std::shared_ptr<Connection>> connections_;  // of the service's thread
  StreamService service_;
};

class HttpServer::Server::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(StreamSocket socket, Server& server)
      : server_(server), stream_(std::move(socket)), timer_(server.service_.io()) {}

  void start() {
    timer_.expires_after(kHttpPatience);
    timer_.async_wait([weak = weak_from_this()](Error error) {
      const auto self = weak.lock();
      if (!error && self != nullptr) self->close();
    });
    read();
  }

  void close() {
    timer_.cancel();
    Error ignored;
    stream_.close(ignored);
    server_.connections_.erase(shared_from_this());
  }

 private:
  void read() {
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(kMostHeader);
    parser_->body_limit(kMostBody);
    parse();
  }

  void parse() {
    Error error;
    while (!in_.empty() && !parser_->is_done() && !error) in_.erase(0, parser_->put(asio::buffer(in_), error));
    if (error && error != http::error::need_more) return refuse(error);
    parser_->is_done() ? answer(parser_->get()) : read_more();
  }

  void read_more() {
    net::read_some(stream_, part_, [self = shared_from_this()](Error error, std::size_t size) {
      if (!self->stream_.is_open()) return;
      self->in_.append(self->part_.data(), size);
      error ? self->end_of_stream() : self->parse();
    });
  }

  void end_of_stream() {
    Error error = http::error::end_of_stream;
    if (parser_->got_some()) parser_->put_eof(error);
    error ? refuse(error) : answer(parser_->get());
  }

  void refuse(Error error) {
    if (error == http::error::end_of_stream ||
        error.category() != make_error_code(http::error::bad_method).category()) {
      return close();
    }
    HttpResponse response;
    const bool header = error == http::error::header_limit;
    const bool body = error == http::error::body_limit;
    response.result(header ? http::status::request_header_fields_too_large
                    : body ? http::status::payload_too_large
                           : http::status::bad_request);
    response.keep_alive(false);
    response.prepare_payload();
    write(response);
  }

  void answer(const HttpRequest& request) {
    HttpResponse response = answer_http(request, server_.desk_, server_.by_path());
    if (++requests_ >= kMostRequests) response.keep_alive(false);
    write(response);
  }

  void write(const HttpResponse& response) {
    out_ = fmt::format("{}", fmt::streamed(response));
    net::write(stream_, out_, [self = shared_from_this(), last = !response.keep_alive()](Error error, std::size_t) {
      if (!self->stream_.is_open()) return;
      error || last ? self->close() : self->read();
    });
  }

  Server& server_;
  StreamSocket stream_;
  asio::steady_timer timer_;
  std::array<char, 4096> part_{};
  std::string in_;
  std::string out_;
  std::optional<http::request_parser<http::string_body>> parser_;
  int requests_ = 0;
};

bool HttpServer::Server::serve(StreamSocket socket) {
  if (connections_.size() >= kMostHttpConnections) return false;
  const auto connection = std::make_shared<Connection>(std::move(socket), *this);
  connections_.insert(connection);
  connection->start();
  return true;
}

void HttpServer::Server::stop() {
  service_.stop([this] {
    for (const auto& connection : std::set(connections_)) connection->close();
  });
}

HttpServer::HttpServer(std::unique_ptr<Server> server) : server_(std::move(server)) {}
HttpServer::~HttpServer() = default;

tl::expected<std::unique_ptr<HttpServer>, std::string> HttpServer::open(const std::string& address, const Desk& desk) {
  auto server = std::make_unique<Server>(desk, address);
  if (auto listening = server->listen(); !listening) return tl::unexpected(listening.error());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(server)));
}

void HttpServer::start() { server_->start(); }
void HttpServer::stop() { server_->stop(); }

}  // namespace replygate
