#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "milter/log/rendering.h"

namespace replygate {

// One place of [log] decisions. Any thread; never waits.
class LogPlace : public RecordListener {
 public:
  virtual const std::string& name() const = 0;
  virtual std::int64_t dropped() const = 0;  // records or lines that the place could not take in time
  virtual void close() = 0;                  // writes what is left
};

// All places of [log] decisions. Any thread; never waits for a place.
class LogSinks final : public RecordListener {
 public:
  // Opens all places; what cannot be opened is an error for people.
  static tl::expected<std::unique_ptr<LogSinks>, std::string> open(const Settings& settings);

  void hear(Rendering& rendering) override;

  // Writes what is left; records that come later are dropped.
  void close();
  const std::vector<std::unique_ptr<LogPlace>>& places() const { return places_; }

 private:
  std::vector<std::unique_ptr<LogPlace>> places_;
};

}  // namespace replygate
