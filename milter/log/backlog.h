#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace replygate {

// Hands entries, in their order, to somebody slow, on a thread of its own. add() never waits: beyond 16 MiB of backlog
// whole entries are dropped, and their records counted.
class Backlog {
 public:
  using Entries = std::vector<std::string>;
  // Called on the thread, with all that has come meanwhile. False: it could not take them; what it has not written is
  // counted as dropped.
  using Deliver = std::function<bool(Entries entries)>;

  Backlog(std::string name, Deliver deliver);
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;
  ~Backlog() { close(); }

  // Delivers what is left and ends the thread; what is added later is dropped.
  void close();
  // Somebody waits for the end: whoever delivers should not wait long.
  bool closing() const;

  void add(std::string entry, std::int64_t records = 1);  // that many are in the entry; any thread
  std::int64_t dropped() const;                           // records
  const std::string& name() const { return name_; }

 private:
  void run();

  const std::string name_;
  const Deliver deliver_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  // Guarded by mutex_.
  Entries entries_;
  std::size_t octets_ = 0;
  std::int64_t records_ = 0;
  std::int64_t dropped_ = 0;
  bool closing_ = false;

  std::thread thread_;
};

}  // namespace replygate
