#pragma once

#include <fmt/format.h>

#include <cstdio>
#include <string_view>

namespace replygate::test {

// One line a figure: id, what, figure, limit, pass or FAIL. A loose report judges no figures of time and memory, which
// mean nothing on a busy machine or under a sanitizer.
class Report {
 public:
  explicit Report(bool loose) : loose_(loose) {}

  void at_most(std::string_view id, std::string_view what, double figure, double limit, std::string_view unit) {
    line(id, what, fmt::format("{:.6g} {}", figure, unit), fmt::format("<= {:.6g}", limit), figure <= limit);
  }
  // Time or memory.
  void measured(std::string_view id, std::string_view what, double figure, double limit, std::string_view unit) {
    if (!loose_) return at_most(id, what, figure, limit, unit);
    fmt::print("{:<4} {:<58} {:>16}  {:<12} not judged\n", id, what, fmt::format("{:.6g} {}", figure, unit),
               fmt::format("<= {:.6g}", limit));
  }
  void measured_at_least(std::string_view id, std::string_view what, double figure, double limit,
                         std::string_view unit) {
    const std::string shown = fmt::format("{:.6g} {}", figure, unit);
    const std::string least = fmt::format(">= {:.6g}", limit);
    if (!loose_) return line(id, what, shown, least, figure >= limit);
    fmt::print("{:<4} {:<58} {:>16}  {:<12} not judged\n", id, what, shown, least);
  }
  void exactly(std::string_view id, std::string_view what, long figure, long limit) {
    line(id, what, std::to_string(figure), fmt::format("= {}", limit), figure == limit);
  }
  void left_out(std::string_view id, std::string_view why) { fmt::print("{:<4} not played: {}\n", id, why); }
  bool good() const { return good_; }

 private:
  void line(std::string_view id, std::string_view what, const std::string& figure, const std::string& limit,
            bool pass) {
    fmt::print("{:<4} {:<58} {:>16}  {:<12} {}\n", id, what, figure, limit, pass ? "pass" : "FAIL");
    std::fflush(stdout);
    good_ = good_ && pass;
  }

  bool loose_;
  bool good_ = true;
};

}  // namespace replygate::test
