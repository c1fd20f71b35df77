#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/folder.h"

namespace replygate::test {

constexpr uid_t kNobody = 65534;

// The rights of an ordinary user, as long as it lives: root is refused nothing.
class Ordinary {
 public:
  explicit Ordinary(const Folder& folder) {
    if (::geteuid() != 0) return;
    was_root_ = true;
    EXPECT_EQ(::chown(folder.path().c_str(), kNobody, kNobody), 0);
    EXPECT_EQ(::seteuid(kNobody), 0);
  }
  ~Ordinary() { EXPECT_TRUE(!was_root_ || ::seteuid(0) == 0); }
  Ordinary(const Ordinary&) = delete;
  Ordinary& operator=(const Ordinary&) = delete;

 private:
  bool was_root_ = false;
};

}  // namespace replygate::test
