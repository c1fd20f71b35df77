#pragma once

#include <map>
#include <string>
#include <vector>

#include "policy/load/load.h"

namespace replygate {

// Loads a policy, remembers all that it read, and compiles it anew when a list that it names changes. The policy itself
// and the files that it includes stay as they were read: only lists are looked at again. One thread at a time.
class ListWatch {
 public:
  explicit ListWatch(std::string path) : path_(std::move(path)) {}

  // To be called first, once.
  Loaded load();
  // What the policy was made of, by DataSource::text().
  const std::map<std::string, std::string>& texts() const { return texts_; }

  // The policy with lists as they are now; null where it is the same. A list that has vanished keeps its last good
  // content; a list that makes the policy wrong, or one of its tests fail, changes nothing.
  std::shared_ptr<const Policy> look();
  // What keeps lists from being taken as they are, for people.
  std::vector<std::string> troubles() const;

 private:
  struct Watched {
    DataSource source;
    std::string stamp;    // changes with the content
    std::string trouble;  // why it could not be read last time
  };

  std::optional<std::string> read(const DataSource& source, std::string& why);
  std::shared_ptr<const Policy> compile();

  std::string path_;
  std::map<std::string, std::string> texts_;  // by DataSource::text(), of the last good load
  std::vector<Watched> watched_;
  std::string id_;     // of the last good load
  std::string wrong_;  // why what was read could not be taken
};

}  // namespace replygate
