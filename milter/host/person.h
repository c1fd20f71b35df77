#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace replygate {

// Somebody and the groups that he is in.
struct Person {
  std::string name;
  uid_t uid = 0;
  std::vector<gid_t> groups;

  static std::optional<Person> named(const std::string& name);

  // 1: search, 2: write, 4: read, as in a mode; several: their sum.
  bool may(const std::string& path, unsigned right) const;
  bool is_in(const std::string& group) const;
};

// Of the MTA, which opens the socket.
std::optional<Person> mta_user();

}  // namespace replygate
