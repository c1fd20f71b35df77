#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>

#include "milter/serve/http_server.h"
#include "tests/support/office.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using test::Office;

constexpr std::string_view kPolicy = "[[rule]]\nname = \"r\"\nwhen = { sender = \"a@b.example\" }\nreply = 550\n";

HttpRequest get(std::string_view target, std::string_view host = "localhost:9791") {
  HttpRequest request(http::verb::get, target, 11);
  request.set(http::field::host, host);
  return request;
}

TEST(Http, ServesThreePages) {
  Office office(kPolicy);
  EXPECT_EQ(answer_http(get("/healthz"), *office.desk, false).result_int(), 200U);
  EXPECT_EQ(answer_http(get("/readyz?verbose"), *office.desk, false).result_int(), 200U);
  const HttpResponse metrics = answer_http(get("/metrics"), *office.desk, false);
  EXPECT_EQ(metrics.result_int(), 200U);
  EXPECT_NE(metrics.body().find("replygate_up 1\n"), std::string::npos);
  EXPECT_EQ(answer_http(get("/"), *office.desk, false).result_int(), 404U);
}

TEST(Http, IsNotReadyInTroubleAndSaysWhy) {
  Office office(kPolicy);
  office.health.failed("disk full", "nothing");
  const HttpResponse ready = answer_http(get("/readyz"), *office.desk, false);
  EXPECT_EQ(ready.result_int(), 503U);
  EXPECT_EQ(ready.body(), "store: disk full\n");
  EXPECT_EQ(answer_http(get("/healthz"), *office.desk, false).result_int(), 200U);
}

TEST(Http, TurnsForeignHostsOriginsAndMethodsAway) {
  Office office(kPolicy);
  for (const std::string_view host :
       {"evil.example", "", "localhost.evil.example", "127.0.0.1.evil.example:80", "[::2]"}) {
    EXPECT_EQ(answer_http(get("/metrics", host), *office.desk, false).result_int(), 421U) << host;
  }
  HttpRequest old = get("/readyz");
  old.erase(http::field::host);
  EXPECT_EQ(answer_http(old, *office.desk, false).result_int(), 421U);
  old.version(10);
  EXPECT_EQ(answer_http(old, *office.desk, false).result_int(), 200U);
  old.set(http::field::host, "evil.example");
  EXPECT_EQ(answer_http(old, *office.desk, false).result_int(), 421U);
  for (const std::string_view host : {"localhost", "127.0.0.1:9791", "[::1]:9791", "[::1]"}) {
    EXPECT_EQ(answer_http(get("/metrics", host), *office.desk, false).result_int(), 200U) << host;
  }
  EXPECT_EQ(answer_http(get("/metrics", "x"), *office.desk, true).result_int(), 200U);
  HttpRequest request = get("/metrics");
  request.set(http::field::origin, "http://evil.example");
  EXPECT_EQ(answer_http(request, *office.desk, false).result_int(), 403U);
  request.set(http::field::origin, "null");
  EXPECT_EQ(answer_http(request, *office.desk, false).result_int(), 403U);
  request.set(http::field::origin, "http://localhost:3000");
  EXPECT_EQ(answer_http(request, *office.desk, false).result_int(), 200U);
  request.method(http::verb::post);
  EXPECT_EQ(answer_http(request, *office.desk, false).result_int(), 405U);
}

class HttpSocket : public ::testing::Test {
 protected:
  HttpSocket() : server_(open_http_server("unix:" + path(), *office_.desk).value()) { server_->start(); }
  std::string path() const { return office_.folder.file("http.sock"); }
  // All that comes back for these octets, until the server closes.
  std::string exchange(const std::string& octets) const {
    asio::io_context io;
    asio::local::stream_protocol::socket socket(io);
    socket.connect(path());
    boost::system::error_code error;
    asio::write(socket, asio::buffer(octets), error);
    socket.shutdown(asio::socket_base::shutdown_send, error);
    std::string answer;
    asio::read(socket, asio::dynamic_buffer(answer), error);
    return answer;
  }

  Office office_{kPolicy};
  std::unique_ptr<StreamServer> server_;
};

TEST_F(HttpSocket, KeepsAConnectionForAHundredRequests) {
  std::string many;
  for (int i = 0; i < 150; ++i) many += "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string answers = exchange(many);
  std::size_t count = 0;
  for (std::size_t at = answers.find("HTTP/1.1 200"); at != std::string::npos;
       at = answers.find("HTTP/1.1 200", at + 1)) {
    ++count;
  }
  EXPECT_EQ(count, 100U);
}

TEST_F(HttpSocket, BoundsHeaderAndBody) {
  EXPECT_TRUE(exchange("GET / HTTP/1.1\r\nX: " + std::string(9000, 'x') + "\r\n\r\n").starts_with("HTTP/1.1 431"));
  EXPECT_TRUE(exchange("POST / HTTP/1.1\r\nContent-Length: 1073741824\r\n\r\n").starts_with("HTTP/1.1 413"));
  EXPECT_TRUE(exchange("nonsense\r\n\r\n").starts_with("HTTP/1.1 400"));
  EXPECT_EQ(exchange(""), "");
}

}  // namespace
}  // namespace replygate
