#include "milter/serve/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

namespace replygate {
namespace {

constexpr std::array<int, 3> kObeyed = {SIGTERM, SIGINT, SIGHUP};

// One flag each: however often a signal comes, it waits once.
std::array<std::atomic<bool>, kObeyed.size()> came;
static_assert(std::atomic<bool>::is_always_lock_free);
int writable = -1;  // set before the handlers are

sigset_t obeyed() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : kObeyed) sigaddset(&set, number);
  return set;
}

// The pipe only wakes; where it is full it has enough to do so.
void on_signal(int number) {
  const int before = errno;
  for (std::size_t i = 0; i < kObeyed.size(); ++i) {
    if (kObeyed[i] == number) came[i] = true;
  }
  [[maybe_unused]] const ssize_t written = ::write(writable, "", 1);
  errno = before;
}

// ThreadSanitizer holds a handler back until read() returns, but not until poll() does.
void wait_for_byte(int readable) {
  pollfd waiting{.fd = readable, .events = POLLIN, .revents = 0};
  ::poll(&waiting, 1, -1);
  std::array<char, 64> ignored{};
  [[maybe_unused]] const ssize_t taken = ::read(readable, ignored.data(), ignored.size());
}

}  // namespace

void SignalQueue::block() {
  const sigset_t set = obeyed();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

SignalQueue::SignalQueue() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
    throw std::system_error(errno, std::generic_category(), "a pipe for signals");
  readable_ = ends[0];
  writable = ends[1];
  struct sigaction action{};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  for (const int number : kObeyed) ::sigaction(number, &action, nullptr);
  const sigset_t set = obeyed();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

SignalQueue::~SignalQueue() {
  block();
  ::close(std::exchange(writable, -1));
  ::close(readable_);
}

int SignalQueue::next() {
  for (;;) {
    for (std::size_t i = 0; i < kObeyed.size(); ++i) {
      if (came[i].exchange(false)) return kObeyed[i];
    }
    wait_for_byte(readable_);
  }
}

}  // namespace replygate
