#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "policy/count/limit.h"

namespace replygate {

// Counts within one session: the limits "/ message" and "/ session", which need no store. Belongs to one session and
// is used by one thread at a time.
class Tally {
 public:
  std::int64_t used(const std::string& counter) const;

  // Counts `cost`. What is not `final` is taken back from the session's counts if the message is not accepted.
  void add(const std::string& counter, Scope scope, std::int64_t cost, bool final);

  // Forgets the counts of the message; `accepted` keeps what it added to those of the session.
  void end_message(bool accepted);

  // Memory that it takes, roughly.
  std::size_t octets() const { return message_octets_ + session_octets_; }

 private:
  using Counts = boost::unordered_flat_map<std::string, std::int64_t>;

  static void count(Counts& counts, std::size_t& octets, const std::string& counter, std::int64_t cost);

  Counts message_;
  Counts session_;
  std::vector<std::pair<std::string, std::int64_t>> pending_;
  std::size_t message_octets_ = 0;
  std::size_t session_octets_ = 0;
};

}  // namespace replygate
