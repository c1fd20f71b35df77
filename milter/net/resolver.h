#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace replygate::net {

// Looks up one name after the other, each on a thread of its own, so that a resolver that hangs keeps nobody: neither a
// loop, nor whoever ends it. Used on the loop's thread; it goes before the loop does, so `found` must not own it.
class Resolver {
 public:
  using Endpoint = boost::asio::generic::stream_protocol::endpoint;
  using Found = std::function<void(boost::system::error_code, std::vector<Endpoint>)>;
  struct Looked {
    boost::system::error_code error;
    std::vector<Endpoint> addresses;
  };

  explicit Resolver(boost::asio::any_io_executor loop) : loop_(std::move(loop)) {}
  template <typename Context>
  explicit Resolver(Context& context) : Resolver(boost::asio::any_io_executor(context.get_executor())) {}
  ~Resolver() { cancel(); }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // `family` is AF_INET, AF_INET6 or AF_UNSPEC. `found` is called once on the loop, before the call returns where
  // `host` is an address, unless it is cancelled. Ends a look-up before.
  void look_up(int family, const std::string& host, const std::string& port, Found found);
  void cancel();  // `found` will not be called

 private:
  struct Question;

  static void answer(const std::shared_ptr<Question>& question, Looked looked);

  boost::asio::any_io_executor loop_;
  std::shared_ptr<Question> question_;
};

}  // namespace replygate::net
