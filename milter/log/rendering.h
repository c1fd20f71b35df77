#pragma once

#include <string>

#include "policy/decide/record.h"

namespace replygate {

// A record and its text, made when it is first wanted and then shared by all that want it. As valid as the record.
class Rendering {
 public:
  explicit Rendering(const Record& record) : record_(record) {}

  const Record& record() const { return record_; }
  const std::string& json() {
    if (json_.empty()) json_ = to_json(record_);
    return json_;
  }
  const std::string& logfmt() {
    if (logfmt_.empty()) logfmt_ = to_logfmt(record_);
    return logfmt_;
  }

 private:
  const Record& record_;
  std::string json_;
  std::string logfmt_;
};

// Who wants to know of each record. Called on one thread; does not block.
class RecordListener {
 public:
  RecordListener() = default;
  RecordListener(const RecordListener&) = delete;
  RecordListener& operator=(const RecordListener&) = delete;
  virtual ~RecordListener() = default;
  virtual void hear(Rendering& rendering) = 0;
  // What came together has been heard: what was gathered should go on its way.
  virtual void heard_all() {}
};

}  // namespace replygate
