#include "milter/serve/http_server.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <optional>

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

void put_answer(HttpResponse& response, http::status status, std::string body) {
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
    put_answer(response, http::status::misdirected_request, "this is replygate on localhost\n");
  } else if (origin != request.end() && !is_own_origin(origin->value())) {
    put_answer(response, http::status::forbidden, "not for other sites\n");
  } else if (request.method() != http::verb::get && request.method() != http::verb::head) {
    response.set(http::field::allow, "GET, HEAD");
    put_answer(response, http::status::method_not_allowed, "only GET\n");
  } else if (target == "/metrics") {
    response.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
    put_answer(response, http::status::ok, metrics_text(desk));
  } else if (target == "/healthz") {
    put_answer(response, http::status::ok, "ok\n");
  } else if (target == "/readyz") {
    const std::string trouble = why_not_ready(desk);
    put_answer(response, trouble.empty() ? http::status::ok : http::status::service_unavailable,
               trouble.empty() ? "ok\n" : trouble + "\n");
  } else {
    put_answer(response, http::status::not_found, "there are /metrics, /healthz and /readyz\n");
  }
  const std::size_t size = response.body().size();
  if (request.method() == http::verb::head) response.body().clear();
  response.content_length(size);
  return response;
}

namespace {

class HttpClient final : public StreamClient {
 public:
  HttpClient(StreamSocket socket, StreamServer& server, const Desk& desk, bool by_path)
      : StreamClient(std::move(socket), server), desk_(desk), by_path_(by_path) {}

  void start() override {
    give(kHttpPatience);
    read();
  }

 private:
  void read() {
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(kMostHttpHeader);
    parser_->body_limit(kMostHttpBody);
    parse();
  }

  void parse() {
    Error error;
    while (!in_.empty() && !parser_->is_done() && !error) in_.erase(0, parser_->put(asio::buffer(in_), error));
    if (error && error != http::error::need_more) return refuse(error);
    parser_->is_done() ? answer(parser_->get()) : read_more();
  }

  void read_more() {
    net::read_some(socket(), part_, [self = self<HttpClient>()](Error error, std::size_t size) {
      if (!self->is_open()) return;
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
    HttpResponse response = answer_http(request, desk_, by_path_);
    if (++requests_ >= kMostRequests) response.keep_alive(false);
    write(response);
  }

  void write(const HttpResponse& response) {
    out_ = fmt::format("{}", fmt::streamed(response));
    net::write(socket(), out_, [self = self<HttpClient>(), last = !response.keep_alive()](Error error, std::size_t) {
      if (!self->is_open()) return;
      error || last ? self->close() : self->read();
    });
  }

  const Desk& desk_;
  const bool by_path_;
  std::array<char, 4096> part_{};
  std::string in_;
  std::string out_;
  std::optional<http::request_parser<http::string_body>> parser_;
  int requests_ = 0;
};

}  // namespace

tl::expected<std::unique_ptr<StreamServer>, std::string> open_http_server(const std::string& text, const Desk& desk) {
  const SocketAddress address = SocketAddress::parse(text).value();
  const bool by_path = address.family == SocketAddress::Family::unix_path;
  return StreamServer::open({.address = address,
                             .most = kMostHttpConnections,
                             .welcome =
                                 [&desk, by_path](StreamSocket socket, StreamServer& server) {
                                   return std::make_shared<HttpClient>(std::move(socket), server, desk, by_path);
                                 },
                             .troubles = &desk.troubles});
}

}  // namespace replygate
