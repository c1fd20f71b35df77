#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "policy/rules/answers.h"

namespace replygate {

// How one live source is asked. Used on the loop of the sources alone, and ended there.
class LiveBackend {
 public:
  struct Failure {
    std::string why;    // for people; "": it has told
    bool gone = false;  // it cannot be asked at all; else it is this question that it cannot answer
  };
  using Heard = std::function<void(const LiveAnswer& answer, const Failure& failure)>;

  LiveBackend() = default;
  LiveBackend(const LiveBackend&) = delete;
  LiveBackend& operator=(const LiveBackend&) = delete;
  virtual ~LiveBackend() = default;

  // `heard` is called once on the loop, perhaps beyond the timeout, or never where the backend has ended.
  virtual void ask(const std::string& key, Heard heard) = 0;
};

std::unique_ptr<LiveBackend> open_socketmap(boost::asio::io_context& loop, const LiveSource& source);
// MySQL, PostgreSQL and LDAP, by their plug-ins.
std::unique_ptr<LiveBackend> open_table(boost::asio::io_context& loop, const LiveSource& source);

}  // namespace replygate
