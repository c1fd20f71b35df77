#pragma once

#include <boost/beast/http.hpp>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/serve/desk.h"

namespace replygate {

// GET /metrics, /healthz and /readyz over HTTP/1.1, to this host alone. Bounded: 8 KiB of header, 64 KiB of body, 100
// requests and ten seconds a connection, 128 connections; who comes beyond them is closed. On a thread of its own.
class HttpServer {
 public:
  // Binds and listens, or says why not. `desk` outlives it.
  static tl::expected<std::unique_ptr<HttpServer>, std::string> open(const std::string& address, const Desk& desk);
  ~HttpServer();  // stops
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void start();
  void stop();

  static constexpr std::size_t kMostHeader = std::size_t{8} << 10;
  static constexpr std::size_t kMostBody = std::size_t{64} << 10;

 private:
  class Server;
  explicit HttpServer(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;
using HttpResponse = boost::beast::http::response<boost::beast::http::string_body>;

// What a request is answered. A foreign Host (421) or Origin (403) is a browser that somebody else's page sends here.
// `by_path`: it came over a Unix socket, where any Host is ours.
HttpResponse answer_http(const HttpRequest& request, const Desk& desk, bool by_path);

}  // namespace replygate
