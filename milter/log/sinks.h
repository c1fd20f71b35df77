#pragma once

#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "milter/log/writer.h"
#include "policy/record.h"

namespace replygate {

// Hands each record, in one format, to all places of [log] decisions. Any thread; never waits for a place.
class LogSinks final : public RecordSink {
 public:
  // Opens all places; what cannot be opened is an error for people.
  static tl::expected<std::unique_ptr<LogSinks>, std::string> open(const Settings& settings);

  void write(const Record& record) override;

  // Writes what is left; records that come later are dropped.
  void close();

 private:
  explicit LogSinks(LogFormat format) : format_(format) {}

  LogFormat format_;
  std::vector<std::unique_ptr<Writer>> writers_;
};

}  // namespace replygate
