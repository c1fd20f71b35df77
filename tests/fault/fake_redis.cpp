#include "tests/fault/fake_redis.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <future>

#include "milter/store/redis_reply.h"

namespace replygate::test {
namespace {

namespace asio = boost::asio;
using Fault = FakeRedis::Fault;

struct Row {
  Fault fault;
  std::string_view name;
  std::string_view cause;
  std::string_view reply;  // to a decision; "": none
};
constexpr std::array kRows = {
    Row{Fault::killed, "killed", "", ""},
    Row{Fault::out_of_memory, "-OOM", "OOM", "-OOM command not allowed when used memory > 'maxmemory'.\r\n"},
    Row{Fault::loading, "-LOADING", "LOADING", "-LOADING Redis is loading the dataset in memory\r\n"},
    Row{Fault::read_only, "-READONLY", "READONLY", "-READONLY You can't write against a read only replica.\r\n"},
    Row{Fault::no_script, "-NOSCRIPT", "", "-NOSCRIPT No matching script. Please use EVAL.\r\n"},
    Row{Fault::no_login, "-NOAUTH", "NOAUTH", "-NOAUTH Authentication required.\r\n"},
    Row{Fault::moved, "-MOVED", "have moved", "-MOVED 3999 127.0.0.1:9\r\n"},
    Row{Fault::master_down, "-MASTERDOWN", "MASTERDOWN",
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n"},
    Row{Fault::slow, "200 ms delay", "no answer in time", "slow"},
    Row{Fault::silent, "half-open", "no answer in time", ""},
    Row{Fault::garbage, "garbage", "not a Redis reply", "\x01\x02garbage\r\n\r\n"},
    Row{Fault::truncated, "truncated", "no answer in time", "*2\r\n:17"},
    Row{Fault::wrong_shape, "another reply", "not an answer of the script", "+OK\r\n"},
};

const Row* row_of(Fault fault) {
  const auto it = std::ranges::find(kRows, fault, &Row::fault);
  return it == kRows.end() ? nullptr : &*it;
}

constexpr std::string_view kAdmitted = "*2\r\n:1000000\r\n*7\r\n:0\r\n:1\r\n:1\r\n:1000000\r\n:0\r\n:0\r\n:0\r\n";

}  // namespace

std::vector<Fault> FakeRedis::faults() {
  std::vector<Fault> all;
  for (const Row& row : kRows) all.push_back(row.fault);
  return all;
}
std::string_view FakeRedis::name_of(Fault fault) { return row_of(fault)->name; }
std::string_view FakeRedis::cause_of(Fault fault) { return row_of(fault)->cause; }

// A command is an array of strings, which is a reply, too.
class FakeRedis::Client : public std::enable_shared_from_this<FakeRedis::Client> {
 public:
  Client(asio::local::stream_protocol::socket socket, const std::atomic<Fault>& fault)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), fault_(fault) {}

  void read() {
    socket_.async_read_some(asio::buffer(in_), [self = shared_from_this()](const auto& error, std::size_t size) {
      if (error) return;
      self->reader_.feed(self->in_.data(), size);
      self->answer();
    });
  }
  void close() {
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

 private:
  void answer() {
    std::string out;
    bool late = false;
    while (auto command = reader_.next()) {
      if (*command == nullptr) break;
      const std::string_view word = redis::text_of(*(*command)->element[0]);
      const std::string_view reply = reply_to(word);
      late = late || reply == "slow";
      out += reply == "slow" ? kAdmitted : reply;
    }
    timer_.expires_after(std::chrono::milliseconds(late ? 200 : 0));
    timer_.async_wait([self = shared_from_this(), out](const auto& error) {
      boost::system::error_code failed;
      if (!error) asio::write(self->socket_, asio::buffer(out), failed);
      if (!failed) self->read();
    });
  }
  std::string_view reply_to(std::string_view word) const {
    const Fault fault = fault_;
    if (word == "ROLE") return "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n";
    if (word == "SCRIPT") return "$40\r\n0123456789012345678901234567890123456789\r\n";
    if (fault == Fault::none || (fault == Fault::no_script && word == "EVAL")) return kAdmitted;
    return row_of(fault)->reply;
  }

  asio::local::stream_protocol::socket socket_;
  asio::steady_timer timer_;
  const std::atomic<Fault>& fault_;
  redis::ReplyReader reader_;
  std::array<char, 65536> in_{};
};

FakeRedis::FakeRedis(const std::string& path) : path_(path), acceptor_(io_) {
  listen();
  thread_ = std::thread([this] {
    const auto guard = asio::make_work_guard(io_);
    io_.run();
  });
}

FakeRedis::~FakeRedis() {
  io_.stop();
  thread_.join();
  std::filesystem::remove(path_);
}

void FakeRedis::listen() {
  std::filesystem::remove(path_);
  acceptor_ = asio::local::stream_protocol::acceptor(io_, asio::local::stream_protocol::endpoint(path_));
  accept();
}

void FakeRedis::accept() {
  acceptor_.async_accept([this](const auto& error, asio::local::stream_protocol::socket socket) {
    if (error) return;
    const auto client = std::make_shared<Client>(std::move(socket), fault_);
    clients_.push_back(client);
    client->read();
    accept();
  });
}

void FakeRedis::hang_up() {
  for (const auto& client : clients_) {
    if (const auto open = client.lock()) open->close();
  }
}

void FakeRedis::begin(Fault fault) {
  std::promise<void> done;
  asio::post(io_, [&] {
    const bool was_killed = fault_ == Fault::killed;
    fault_ = fault;
    if (fault == Fault::killed) {
      acceptor_.close();
      std::filesystem::remove(path_);
      hang_up();
    } else if (was_killed) {
      listen();
    } else if (fault == Fault::none) {
      hang_up();  // what was left out cannot be made good
    }
    done.set_value();
  });
  done.get_future().wait();
}

}  // namespace replygate::test
