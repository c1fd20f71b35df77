#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <string>
#include <vector>

#include "milter/serve/control_client.h"
#include "tests/fault/daemon.h"
#include "tests/support/folder.h"
#include "tests/support/wire.h"

namespace replygate::test {

// A daemon beside a peer that fails, an MTA that talks to it, and an admin who looks at it. Notes what the daemon owes.
class Visitor {
 public:
  // `rules` is its policy without [control]; the rest is that of Options.
  explicit Visitor(Daemon::Options options);

  // The codes of the recipients, 250 where one passes, and that of the end: 0 where the daemon has closed.
  struct Sent {
    std::vector<int> recipients;
    int end = 0;
    long accepted() const;  // recipients of a message that was accepted
  };
  Sent message(const std::string& sender, const std::vector<std::string>& recipients);

  boost::json::object status();
  std::string trouble();                                       // of which `status` tells
  long used(const std::string& rule, const std::string& key);  // -1: it cannot be told
  bool alive() const { return daemon_.alive(); }
  int stop();  // its exit status
  std::string messages() const { return daemon_.messages(); }
  const std::string& address() const { return daemon_.address(); }
  const std::string& folder() const { return daemon_.folder(); }

  long unanswered = 0;  // commands to the milter or the control socket that had no answer
  double slowest = 0;   // seconds until there was one

 private:
  boost::json::object ask(boost::json::object request);
  int say(const std::string& packets);

  const Folder place_;  // of the control socket
  Daemon daemon_;
  std::unique_ptr<ControlClient> control_;
  std::unique_ptr<WireClient> mta_;
};

}  // namespace replygate::test
