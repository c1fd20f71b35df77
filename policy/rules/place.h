#pragma once

#include <string>

namespace replygate {

// Where something stands in the policy; lines and columns from 1.
struct Place {
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  std::string text() const;  // "file:line"
};

}  // namespace replygate
