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

// What only tells what became of mail keeps no mail from being judged, unless a rule asks for it.
TEST(Http, IsNotReadyWhereOutcomesAreNeededAndNotCounted) {
  const auto now = std::chrono::steady_clock::now();
  const auto status_of = [now](std::string_view policy, std::chrono::seconds lasting,
                               const std::string& of = "outcomes") {
    Office office(policy);
    testing::internal::CaptureStderr();
    office.troubles.tell(of, {"outcomes: mail.log: Permission denied"}, now - lasting);
    testing::internal::GetCapturedStderr();
    const HttpResponse ready = answer_http(get("/readyz"), *office.desk, false);
    const HttpResponse metrics = answer_http(get("/metrics"), *office.desk, false);
    EXPECT_NE(metrics.body().find("replygate_troubles{of=\"" + of + "\"} 1\n"), std::string::npos);
    EXPECT_EQ(metrics.body().find("replygate_up 1\n") != std::string::npos, ready.result_int() == 200U);
    return std::pair(ready.result_int(), ready.body());
  };
  const std::string outcomes = "[outcomes]\nlog = \"/nonexistent/mail.log\"\n";
  const std::string limit =
      outcomes + "[[rule]]\nname = \"r\"\nper = \"sender\"\nlimit = \"9 hard_bounces / 1h\"\nreply = 450\n";
  const std::string dead = outcomes + "[[rule]]\nname = \"r\"\nwhen = { recipient_dead = true }\nreply = 550\n";
  const std::pair<unsigned, std::string> refused{503U, "outcomes: mail.log: Permission denied\n"};
  EXPECT_EQ(status_of(limit, std::chrono::seconds(61)), refused);
  EXPECT_EQ(status_of(dead, std::chrono::seconds(61)), refused);
  EXPECT_EQ(status_of(limit, std::chrono::seconds(61), "outcomes.db"), refused);
  EXPECT_EQ(status_of(limit, std::chrono::seconds(5)).first, 200U);  // it is being rotated
  EXPECT_EQ(status_of(limit + "mode = \"observe\"\n", std::chrono::seconds(61)).first, 200U);
  EXPECT_EQ(status_of(outcomes + std::string(kPolicy), std::chrono::seconds(61)).first, 200U);
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
