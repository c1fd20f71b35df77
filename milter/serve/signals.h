#pragma once

#include <csignal>

namespace replygate {

// The signals that the daemon obeys: SIGTERM, SIGINT, SIGHUP. They are blocked until the queue is made, on the main
// thread; from then on a handler notes them. It does not wait with sigwait(), since libmilter does so on a thread of
// its own, and a signal goes to whoever waits. Where the main thread does not block it, the kernel gives it to that
// one. Destroyed when the process ends. At most one in a process.
class SignalQueue {
 public:
  static void block();  // before any thread is made

  SignalQueue();
  ~SignalQueue();
  SignalQueue(const SignalQueue&) = delete;
  SignalQueue& operator=(const SignalQueue&) = delete;

  int next();  // waits for one; SIGTERM and SIGINT before SIGHUP, and several of one number are one

 private:
  int readable_ = -1;
};

}  // namespace replygate
