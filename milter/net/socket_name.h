#pragma once

#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <optional>
#include <string>
#include <tl/expected.hpp>

#include "milter/net/listening.h"
#include "policy/load/socket.h"

namespace replygate {

// The name in the file system of a Unix socket that listens: without it nobody new gets to the socket. Of other sockets
// there is none, which cannot be lost. One thread.
class SocketName {
 public:
  // Of a socket that is bound.
  explicit SocketName(SocketAddress address);

  bool exists() const { return !path_.empty(); }  // the socket has one, lost or not
  // Somebody has removed it, or put something else in its place.
  bool lost() const;
  // Binds it anew where it is lost, and says so; nothing where it is there. What was handed over is not ours to bind:
  // that, too, is an error for people.
  tl::expected<std::optional<StreamAcceptor>, std::string> restore(boost::asio::io_context& io);
  // Takes it away, if it is still ours.
  void remove();

 private:
  void look();

  SocketAddress address_;
  std::string path_;  // "": it has none
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace replygate
