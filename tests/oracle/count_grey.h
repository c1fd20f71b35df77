#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tests/oracle/count_world.h"

namespace replygate::oracle::counts {

// What greylisting has seen, by the names of a rule's keys and clients, as conf/POLICY.md has it.
class GreyBook {
 public:
  // What it makes of an attempt, before it is seen.
  struct Look {
    bool passes = false;    // by the key itself
    bool first = false;     // that it passes; the client is credited with it
    std::int64_t from = 0;  // when it would pass
  };

  Look look(const Grey& grey, const std::string& key, std::int64_t now) const;
  void see(const Grey& grey, const std::string& key, std::int64_t now);
  void credit(const std::string& client, std::int64_t now) { passed_[client].push_back(now); }
  bool knows(const Grey& grey, const std::string& client, std::int64_t now) const;

 private:
  struct Key {
    std::int64_t first = 0;
    std::int64_t last = 0;
    bool passed = false;
  };

  std::map<std::string, Key> keys_;
  std::map<std::string, std::vector<std::int64_t>> passed_;  // of clients: when keys of them did
};

}  // namespace replygate::oracle::counts
