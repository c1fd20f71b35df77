#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio.hpp>
#include <boost/json.hpp>
#include <filesystem>
#include <random>
#include <thread>

#include "milter/serve/control_client.h"
#include "tests/fault/daemon.h"
#include "tests/fault/goals.h"
#include "tests/fault/peers.h"

namespace replygate::test {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using Error = boost::system::error_code;

constexpr std::string_view kRules =
    "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = \"3 recipients / 1h\"\nreply = \"quota-exceeded\"\n";

// A daemon with both services at Unix sockets of its own.
struct Served {
  std::string control = fmt::format("/tmp/replygate-control.{}", ::getpid());
  std::string http = fmt::format("/tmp/replygate-http.{}", ::getpid());
  Daemon daemon;

  explicit Served(const GoalOptions& options)
      : daemon({.binary = options.binary,
                .milter = "",
                .rules = fmt::format("[control]\nlisten = \"unix:{}\"\n[metrics]\nlisten = \"unix:{}\"\n{}", control,
                                     http, kRules),
                .descriptors = 16'384}) {}
};

// One message a turn while it is on, with its times.
class Mail {
 public:
  explicit Mail(const std::string& address)
      : thread_([this, address] {
          WireClient mta = open_session(address);
          while (!stop_) {
            const auto begin = now();
            for (const std::string& event : {mail_packet("<a@x.example>"), rcpt_packet("<r@x.example>"), packet('E')}) {
              if (mta.ask(event).command == 0) ++lost_;
            }
            latencies_.add(seconds_since(begin) * 1000);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
          }
        }) {}
  double stop() {
    stop_ = true;
    thread_.join();
    return latencies_.percentile(99);
  }
  long lost() const { return lost_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<long> lost_ = 0;
  Latencies latencies_;
  std::thread thread_;
};

// What comes back until the server closes or a moment has passed.
std::string send_and_read(const std::string& path, const std::string& octets) {
  asio::io_context io;
  Local::socket socket(io);
  Error error;
  socket.connect(path, error);
  if (error) return "unreachable";
  asio::write(socket, asio::buffer(octets), error);
  socket.shutdown(asio::socket_base::shutdown_send, error);
  std::string answer;
  asio::read(socket, asio::dynamic_buffer(answer), error);
  return answer;
}

std::string mutated(std::mt19937_64& random) {
  static const std::vector<std::string> kRequests = {
      R"({"v":1,"command":"status"})",
      R"({"v":1,"command":"quota-show","key":"a@x.example"})",
      R"({"v":1,"command":"quota-raise","key":"a@x.example","percent":200,"until":"2026-11-22T09:00:00Z"})",
      R"({"v":1,"command":"quota-reset","key":"a@x.example","rule":"quota"})",
      R"({"v":1,"command":"top","count":5})",
      R"({"v":1,"command":"why","word":"x","count":-1})",
      R"({"v":1,"command":"rules"})",
      R"({"v":1,"command":"drain","off":true})"};
  std::string text = kRequests[random() % kRequests.size()];
  for (std::uint64_t changes = random() % 4; changes > 0; --changes) {
    const std::size_t at = random() % text.size();
    switch (random() % 4) {
      case 0: text[at] = static_cast<char>(random() % 256); break;
      case 1: text.erase(at, random() % 8 + 1); break;
      case 2: text.insert(at, 1 + random() % 8, text[at]); break;
      default: text.insert(at, "\"[{,:1e999null\\u0000"); break;
    }
    if (text.empty()) text = " ";
  }
  std::erase(text, '\n');
  return text + '\n';
}

// Sends mutated requests, several to a connection; gives how many were sent.
long fuzz_control(const std::string& path, long requests, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  long sent = 0;
  while (sent < requests) {
    std::string octets;
    for (int i = 0; i < 50; ++i, ++sent) octets += mutated(random);
    send_and_read(path, octets);
  }
  return sent;
}

// What somebody else than root, the daemon's user and its group is told.
std::string told_to_stranger(const std::string& path) {
  std::array<int, 2> pipe{};
  if (::pipe(pipe.data()) != 0) return "";
  const pid_t child = ::fork();
  if (child == 0) {
    std::string said = "cannot change";
    if (::setgid(65534) == 0 && ::setuid(65534) == 0) {
      said = send_and_read(path, "{\"v\":1,\"command\":\"status\"}\n");
    }
    const ssize_t ignored = ::write(pipe[1], said.data(), said.size());
    std::_Exit(ignored >= 0 ? 0 : 1);
  }
  ::close(pipe[1]);
  std::string said(65536, '\0');
  said.resize(static_cast<std::size_t>(std::max<ssize_t>(::read(pipe[0], said.data(), said.size()), 0)));
  ::close(pipe[0]);
  ::waitpid(child, nullptr, 0);
  return said;
}

// Connections that are kept open, each having said so much.
std::vector<std::unique_ptr<Local::socket>> hold(asio::io_context& io, const std::string& path, int count,
                                                 std::string_view octets) {
  std::vector<std::unique_ptr<Local::socket>> sockets;
  for (int i = 0; i < count; ++i) {
    auto socket = std::make_unique<Local::socket>(io);
    Error error;
    socket->connect(path, error);
    if (error) continue;
    socket->non_blocking(true);
    asio::write(*socket, asio::buffer(octets), error);
    sockets.push_back(std::move(socket));
  }
  return sockets;
}

bool answers(const std::string& path) {
  const auto deadline = now() + std::chrono::seconds(20);
  while (now() < deadline) {
    const auto client = ControlClient::connect(path);
    if (client && (*client)->ask({{"command", "status"}})) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  return false;
}

}  // namespace

void control_attacks(const GoalOptions& options, Report& report) {
  const long requests = options.full ? 1'000'000 : options.small ? 2'000 : 20'000;
  const Served served(options);
  Mail mail(served.daemon.address());
  std::vector<std::thread> threads;
  std::atomic<long> sent = 0;
  for (std::uint64_t i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] { sent += fuzz_control(served.control, requests / 2, i); });
  }
  for (std::thread& thread : threads) thread.join();
  report.exactly("G26", fmt::format("deaths by {} mutated requests", sent.load()), served.daemon.alive() ? 0 : 1, 0);
  asio::io_context io;
  {
    const auto idle = hold(io, served.control, 1000, "");
    report.exactly("G26", fmt::format("deaths by {} idle clients", idle.size()), served.daemon.alive() ? 0 : 1, 0);
    report.exactly("G26", "answered while they idle, once their time is over", answers(served.control) ? 1 : 0, 1);
  }
  const std::string big = send_and_read(served.control, std::string(std::size_t{1} << 20, 'x'));
  report.exactly("G26", "a request of 1 MiB is refused", big.find("64 KiB") != std::string::npos || big.empty() ? 1 : 0,
                 1);
  if (::geteuid() == 0) {
    std::filesystem::permissions(served.control, std::filesystem::perms(0666));
    const std::string said = told_to_stranger(served.control);
    report.exactly("G26", "a stranger is refused by his credentials",
                   said.find("only root") != std::string::npos ? 1 : 0, 1);
  }
  report.measured("G26", "p99 of a message meanwhile", mail.stop(), 20, "ms");
  report.exactly("G26", "events of the MTA without an answer", mail.lost(), 0);
}

void http_attacks(const GoalOptions& options, Report& report) {
  const int slow = options.full ? 5000 : options.small ? 200 : 1000;
  const Served served(options);
  const std::string get = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
  send_and_read(served.http, get);
  const double memory = served.daemon.resident_mib();
  double calm = 0;
  {
    Mail mail(served.daemon.address());
    std::this_thread::sleep_for(std::chrono::seconds(1));
    calm = mail.stop();
  }
  Mail mail(served.daemon.address());
  asio::io_context io;
  const auto held = hold(io, served.http, slow, "GET /metrics HTTP/1.1\r\nHost: loc");
  const std::string header =
      send_and_read(served.http, "GET / HTTP/1.1\r\nX: " + std::string(std::size_t{64} << 10, 'x') + "\r\n\r\n");
  const std::string body = send_and_read(
      served.http, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n" + std::string(100'000, 'x'));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += get;
  send_and_read(served.http, many);
  const double growth = served.daemon.resident_mib() - memory;
  const double busy = mail.stop();
  report.exactly("G25", fmt::format("deaths by {} slow connections, big headers and bodies", held.size()),
                 served.daemon.alive() ? 0 : 1, 0);
  report.exactly("G25", "64 KiB of header and 1 GiB of body were let in",
                 (header.starts_with("HTTP/1.1 200") ? 1 : 0) + (body.starts_with("HTTP/1.1 200") ? 1 : 0), 0);
  report.measured("G25", "growth of memory", growth, 32, "MiB");
  report.measured("G25", "p99 of a message more than without", busy - calm, 2, "ms");
  report.exactly("G25", "events of the MTA without an answer", mail.lost(), 0);
}

}  // namespace replygate::test
