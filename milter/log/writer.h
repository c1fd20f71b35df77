#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace replygate {

// Writes lines to a descriptor from a thread of its own. write() never waits for the descriptor: beyond 16 MiB of
// backlog whole entries are dropped and counted. Entries stay in order and are never cut.
class Writer {
 public:
  // Takes `fd` over if `owns`. Starts the thread.
  Writer(int fd, bool owns, std::string name);
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  ~Writer();  // closes

  // Writes what is left, for at most two seconds, and ends the thread; what is written later is dropped. Once.
  void close();

  // Any thread. `entry` ends with LF.
  void write(std::string_view entry);
  std::uint64_t dropped() const;

 private:
  void run();
  bool write_all(std::string_view text);
  void report_drops(std::uint64_t drops);

  // Constant after construction.
  const int fd_;
  const bool owns_;
  const std::string name_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  std::string backlog_;
  std::uint64_t dropped_ = 0;
  bool stop_ = false;

  std::thread thread_;
};

}  // namespace replygate
