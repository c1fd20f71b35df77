#pragma once

#include <cstdint>

// A program with failing_new.cpp has an operator new that can be made to fail.
namespace replygate::test {

// The n-th allocation of this thread from now on fails, once; 0: none does.
void fail_allocation(std::int64_t n);
// Whether it has.
bool allocation_failed();

// While it lives, allocations of this thread neither fail nor count.
class WithoutFailures {
 public:
  WithoutFailures();
  ~WithoutFailures();
  WithoutFailures(const WithoutFailures&) = delete;
  WithoutFailures& operator=(const WithoutFailures&) = delete;

 private:
  const std::int64_t left_;
};

}  // namespace replygate::test
