#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "milter/current_policy.h"
#include "policy/load/load.h"

namespace replygate {

// Loads a policy, remembers all that it read, and compiles it anew when a list that it names changes. The policy itself
// and the files that it includes stay as they were read: only lists are looked at again.
class ListWatch {
 public:
  explicit ListWatch(std::string path) : path_(std::move(path)) {}
  ~ListWatch() { stop(); }
  ListWatch(const ListWatch&) = delete;
  ListWatch& operator=(const ListWatch&) = delete;

  // To be called first, once.
  Loaded load();
  // What the policy was made of, by DataSource::text(). Before start().
  const std::map<std::string, std::string>& texts() const { return texts_; }

  // Looks every second, on a thread of its own. A list that has vanished keeps its last good content; a list that makes
  // the policy wrong, or one of its tests fail, changes nothing; stderr says both.
  void start(CurrentPolicy& current);
  void stop();

  // Looks now. True where the policy was exchanged. As start() does; not beside it.
  bool look(CurrentPolicy& current);

 private:
  struct Watched {
    DataSource source;
    std::string stamp;  // changes with the content
  };

  std::optional<std::string> read(const DataSource& source, std::string& why);
  static std::string stamp_of(const DataSource& source);

  std::string path_;
  std::map<std::string, std::string> texts_;  // by DataSource::text(), of the last good load
  std::vector<Watched> watched_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mutex_
};

}  // namespace replygate
