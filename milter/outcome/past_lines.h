#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "policy/base/time.h"
#include "policy/remote/log_event.h"

namespace replygate {

// The lines of a log that is over, in their order, with times that do not go back. A clock that is far ahead or behind
// for some lines dates nothing: those around them do. Keeps some thousand lines. One thread.
class PastLines {
 public:
  PastLines(const PastLines&) = delete;
  PastLines& operator=(const PastLines&) = delete;
  virtual ~PastLines() = default;

  // When the first of the lines was written that were not taken yet. Nothing: there are no more.
  std::optional<Instant> time();
  // Of that line, while there is one: its own time, which may be none, and what it tells, valid until pop().
  std::optional<Instant> own_time() const { return lines_.front().own; }
  LogEvent event() const;
  void pop();

  // What is wrong with what was taken, for people.
  std::vector<std::string> troubles() const;
  virtual std::int64_t octets() const { return 0; }  // that were read
  virtual std::int64_t size() const { return 0; }    // 0: nobody knows

 protected:
  struct Line {
    std::optional<Instant> own;
    std::string text;
    std::string program = {};  // where the text is a message alone
    std::string pid = {};
  };

  explicit PastLines(std::string path) : path_(std::move(path)) {}
  // Appends some lines. False: there are no more.
  virtual bool read(std::deque<Line>& into) = 0;
  virtual std::string trouble() const { return ""; }

 private:
  void fill();
  Instant settled(const std::optional<Instant>& own);
  bool is_ahead(Instant time) const;

  std::string path_;
  std::deque<Line> lines_;
  std::optional<Instant> first_;  // of lines_, once it is known
  std::optional<Instant> last_;   // that was taken
  bool over_ = false;
  std::int64_t taken_ = 0;
  std::int64_t dated_ = 0;   // of them
  std::int64_t astray_ = 0;  // likewise
};

// A file, "-", or "journal" for systemd's journal. On failure the reason, for people.
tl::expected<std::unique_ptr<PastLines>, std::string> open_past_lines(const std::string& path);

}  // namespace replygate
