#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace replygate::test {

// A server that lets clients log in and answers each decision that it is admitted, until a fault begins.
class FakeRedis {
 public:
  enum class Fault {
    none,
    killed,
    out_of_memory,
    loading,
    read_only,
    no_script,
    no_login,
    moved,
    master_down,
    slow,
    silent,
    garbage,
    truncated,
    wrong_shape
  };
  static std::vector<Fault> faults();  // all but none
  static std::string_view name_of(Fault fault);
  static std::string_view cause_of(Fault fault);  // what its cause must name

  explicit FakeRedis(const std::string& path);
  ~FakeRedis();
  FakeRedis(const FakeRedis&) = delete;
  FakeRedis& operator=(const FakeRedis&) = delete;

  void begin(Fault fault);

 private:
  class Client;

  void listen();
  void accept();
  void hang_up();

  std::string path_;
  boost::asio::io_context io_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  std::vector<std::weak_ptr<Client>> clients_;
  std::atomic<Fault> fault_{Fault::none};
  std::thread thread_;
};

}  // namespace replygate::test
