#include "milter/outcome/past_lines.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "milter/outcome/journal_log.h"
#include "milter/outcome/log_clock.h"
#include "milter/outcome/past_log.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kLinesAhead = 4096;
constexpr std::size_t kFirstLines = 100;  // by which the very first one is judged
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
// Lines of one log are not that far out of order.
constexpr Duration kFarAway = std::chrono::hours(1);

class FileLines final : public PastLines {
 public:
  FileLines(const std::string& path, std::unique_ptr<PastLog> log)
      : PastLines(path), log_(std::move(log)), clock_(log_->written()) {}

  std::int64_t octets() const override { return log_->consumed(); }
  std::int64_t size() const override { return log_->size(); }

 protected:
  bool read(std::deque<Line>& into) override {
    return log_->read([&](std::string_view line) {
      const bool marked = std::exchange(at_begin_, false) && line.starts_with(kByteOrderMark);
      if (marked) line.remove_prefix(kByteOrderMark.size());
      into.push_back({.own = clock_.own_time(line), .text = std::string(line)});
    });
  }
  std::string trouble() const override { return log_->trouble(); }

 private:
  std::unique_ptr<PastLog> log_;
  LogClock clock_;
  bool at_begin_ = true;
};

class JournalLines final : public PastLines {
 public:
  explicit JournalLines(std::unique_ptr<JournalLog> log) : PastLines("journal"), log_(std::move(log)) {}

 protected:
  bool read(std::deque<Line>& into) override {
    const auto entry = log_->next();
    if (!entry) return false;
    const LogPrefix& line = entry->line;
    into.push_back({entry->time, std::string(line.rest), std::string(line.program), std::string(line.pid)});
    return true;
  }

 private:
  std::unique_ptr<JournalLog> log_;
};

}  // namespace

void PastLines::fill() {
  while (!over_ && lines_.size() < kLinesAhead) over_ = !read(lines_);
}

std::optional<Instant> PastLines::time() {
  if (first_) return first_;
  fill();
  if (lines_.empty()) return std::nullopt;
  first_ = settled(lines_.front().own);
  return first_;
}

// Lines below it go back to where the clock was. The very first one is ahead of most of them.
bool PastLines::is_ahead(Instant time) const {
  const auto goes_back = [&](const Line& line) {
    return line.own && *line.own + kFarAway < time && (!last_ || *line.own + kFarAway >= *last_);
  };
  if (last_) return std::any_of(lines_.begin() + 1, lines_.end(), goes_back);
  const auto looked_at = std::min(kFirstLines, lines_.size());
  const auto end = lines_.begin() + static_cast<std::ptrdiff_t>(looked_at);
  return static_cast<std::size_t>(std::count_if(lines_.begin(), end, goes_back)) * 2 >= looked_at;
}

Instant PastLines::settled(const std::optional<Instant>& own) {
  if (!own) return last_.value_or(Instant());
  const bool ahead = (!last_ || *own > *last_ + kFarAway) && is_ahead(*own);
  const bool behind = last_ && *own + kFarAway < *last_;
  if (ahead || behind) ++astray_;
  if (!ahead) return last_ ? std::max(*own, *last_) : *own;
  if (last_) return *last_;
  const auto earliest = std::ranges::min_element(lines_, {}, [&](const Line& line) { return line.own.value_or(*own); });
  return earliest->own.value_or(*own);
}

LogEvent PastLines::event() const {
  const Line& line = lines_.front();
  return line.program.empty() ? read_log_event(line.text)
                              : read_log_event(LogPrefix{line.program, line.pid, line.text});
}

void PastLines::pop() {
  ++taken_;
  if (lines_.front().own) {
    ++dated_;
    last_ = first_;
  }
  lines_.pop_front();
  first_.reset();
}

std::vector<std::string> PastLines::troubles() const {
  std::vector<std::string> found;
  if (const std::string why = trouble(); !why.empty()) found.push_back(why);
  if (taken_ > 0 && dated_ == 0) {
    found.push_back(fmt::format("{}: no line of it begins with a time that can be read", path_));
  }
  if (astray_ > 0) {
    found.push_back(fmt::format("{}: {} with a time more than an hour away from the lines around, and dated by them",
                                path_, counted(astray_, "line")));
  }
  return found;
}

tl::expected<std::unique_ptr<PastLines>, std::string> open_past_lines(const std::string& path) {
  if (path == "journal") {
    auto journal = JournalLog::open("");
    if (!journal) return tl::unexpected(journal.error());
    return std::make_unique<JournalLines>(*std::move(journal));
  }
  auto log = PastLog::open(path);
  if (!log) return tl::unexpected(log.error());
  return std::make_unique<FileLines>(path, *std::move(log));
}

}  // namespace replygate
