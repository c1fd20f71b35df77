#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/base/time.h"

// Local time: what the clock on the wall of the site shows. Values; any thread.
namespace replygate {

// Periods that end at a local midnight.
enum class Calendar : std::uint8_t { day, week, month };  // weeks begin on Monday (ISO 8601)

std::string_view to_string(Calendar period);

struct LocalTime {
  int year = 1970;
  unsigned month = 1;
  unsigned day = 1;
  unsigned weekday = 4;  // 1 Monday … 7 Sunday
  unsigned minute = 0;   // of the day
};

std::string_view weekday_name(unsigned weekday);  // "monday" …

// A time zone of the IANA database.
class Zone {
 public:
  Zone() = default;  // UTC
  // "Europe/Berlin"; nothing where the system's database does not have it.
  static std::optional<Zone> named(std::string_view name);

  const std::string& name() const { return name_; }
  LocalTime local(Instant now) const;

  // The calendar period that holds `now`: [begin, end), and the day on which it begins as "2026-11-22".
  struct Span {
    Instant end;
    std::string begin;
  };
  Span span(Calendar period, Instant now) const;

 private:
  Instant midnight(int year, unsigned month, unsigned day) const;  // the first instant of that local day

  std::string name_ = "UTC";
  const void* zone_ = nullptr;  // of the library, never freed; null is UTC
};

}  // namespace replygate
