#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "milter/log/rendering.h"

namespace replygate {

// That nobody has a socket for `place` at `path`, for people; "" where somebody has.
std::string missing_socket(const std::string& place, const std::string& path);

// One place of [log] decisions. It hears on one thread, and answers on any; never waits.
class LogPlace : public RecordListener {
 public:
  virtual const std::string& name() const = 0;
  virtual std::int64_t dropped() const = 0;           // records or lines that the place could not take in time
  virtual std::string trouble() const { return {}; }  // why nobody takes what comes; "" where somebody does
  virtual void close() = 0;                           // writes what is left
};

// All places of [log] decisions. They hear on one thread, and answer on any; never waits for a place.
class LogSinks final : public RecordListener {
 public:
  // Opens all places; what cannot be opened is an error for people.
  static tl::expected<std::unique_ptr<LogSinks>, std::string> open(const Settings& settings);

  void hear(Rendering& rendering) override;
  void heard_all() override;

  // Writes what is left; records that come later are dropped.
  void close();
  const std::vector<std::unique_ptr<LogPlace>>& places() const { return places_; }
  std::string trouble() const;  // of the first place that has some

 private:
  std::vector<std::unique_ptr<LogPlace>> places_;
};

}  // namespace replygate
