#pragma once

#include <vector>

#include "milter/guarded.h"
#include "milter/log/rendering.h"

namespace replygate {

// Hands each record to all that listen; what one of them throws is said, and the others hear it all the same. Any
// thread; all listeners are there before the first record, and outlive it.
class Recorder final : public RecordSink {
 public:
  void add(RecordListener& listener) { listeners_.push_back(&listener); }

  void write(const Record& record) override {
    Rendering rendering(record);
    for (RecordListener* listener : listeners_) {
      guarded("records", [listener, &rendering] { listener->hear(rendering); });
    }
  }

 private:
  std::vector<RecordListener*> listeners_;
};

}  // namespace replygate
