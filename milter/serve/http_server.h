#pragma once

#include <boost/beast/http.hpp>
#include <memory>
#include <string>
#include <tl/expected.hpp>

#include "milter/net/stream_server.h"
#include "milter/serve/desk.h"

namespace replygate {

// Of a request.
inline constexpr std::size_t kMostHttpHeader = std::size_t{8} << 10;
inline constexpr std::size_t kMostHttpBody = std::size_t{64} << 10;

// GET /metrics, /healthz and /readyz over HTTP/1.1, to this host alone. Bounded: 8 KiB of header, 64 KiB of body, 100
// requests and ten seconds a connection, 128 connections; who comes beyond them is closed. `desk` outlives it.
tl::expected<std::unique_ptr<StreamServer>, std::string> open_http_server(const std::string& address, const Desk& desk);

using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;
using HttpResponse = boost::beast::http::response<boost::beast::http::string_body>;

// What a request is answered. A foreign Host (421) or Origin (403) is a browser that somebody else's page sends here.
// `by_path`: it came over a Unix socket, where any Host is ours.
HttpResponse answer_http(const HttpRequest& request, const Desk& desk, bool by_path);

}  // namespace replygate
