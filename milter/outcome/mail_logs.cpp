#include "milter/outcome/mail_logs.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <span>
#include <system_error>
#include <utility>

#include "milter/outcome/past_lines.h"
#include "milter/outcome/rotated_files.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kLinesBetween = 20000;  // words of progress
// A rotated log may go on that much longer than the next one has begun.
constexpr Duration kOverlap = std::chrono::seconds(2);

struct LogToRead {
  std::string path;
  Instant begin{};  // Instant::min(): it has no line
  std::int64_t size = 0;
  std::unique_ptr<PastLines> lines = nullptr;  // while it is read
  std::int64_t octets = 0;                     // that were told
};

// Feeds a trail, and counts.
class LogReader {
 public:
  LogReader(MailTrail::Listener& listener, const TellProgress& progress) : trail_(listener), progress_(progress) {}

  // Takes lines of a log that were written until then. False: it is over.
  bool read(LogToRead& log, Instant until) {
    PastLines& lines = *log.lines;
    auto time = lines.time();
    for (; time && *time <= until; time = lines.time()) {
      line(*time, lines);
      lines.pop();
    }
    note_octets(log, time ? lines.octets() : std::max(lines.size(), lines.octets()));
    if (!time) end(lines);
    return time.has_value();
  }

  void expect(std::int64_t octets) { so_far_.of_octets += octets; }

  LogFigures finish() {
    trail_.finish();
    say();
    figures_.trail = trail_.figures();
    if (figures_.undated > 0) {
      figures_.troubles.push_back(
          fmt::format("{} of mail left out: no time that can be read", counted(figures_.undated, "line")));
    }
    return std::move(figures_);
  }

 private:
  void line(Instant time, const PastLines& lines) {
    ++figures_.lines;
    const auto own = lines.own_time();
    const LogEvent event = lines.event();
    if (own) figures_.last = std::max(figures_.last, time);
    if (event.kind != LogEventKind::none && event.kind != LogEventKind::other) {
      ++(own ? figures_.told : figures_.undated);
      if (own) trail_.take(time, event);
    }
    if (figures_.lines % kLinesBetween == 0) say();
  }

  void note_octets(LogToRead& log, std::int64_t octets) {
    so_far_.octets += octets - log.octets;
    log.octets = octets;
  }

  void end(const PastLines& lines) {
    for (std::string& trouble : lines.troubles()) figures_.troubles.push_back(std::move(trouble));
  }

  void say() {
    so_far_.lines = figures_.lines;
    if (progress_) progress_(so_far_);
  }

  MailTrail trail_;
  const TellProgress& progress_;
  LogFigures figures_;
  LogProgress so_far_;
};

// What can be read once only.
bool is_pipe(const std::string& path) {
  std::error_code ignored;
  const auto kind = std::filesystem::status(path, ignored).type();
  return kind == std::filesystem::file_type::fifo || kind == std::filesystem::file_type::character;
}

// What is named twice is read once.
bool is_named(const std::vector<LogToRead>& logs, const std::string& path) {
  return std::ranges::any_of(logs, [&](const LogToRead& log) {
    std::error_code ignored;
    return log.path == path || std::filesystem::equivalent(log.path, path, ignored);
  });
}

using Logs = std::vector<LogToRead>;

// A compressor that was stopped leaves the file, and beside it what it has made of it so far.
bool is_half_compressed(const LogToRead& log, const Logs& logs) {
  const auto plain = uncompressed_name(log.path);
  return plain && std::ranges::any_of(logs, [&](const LogToRead& other) {
           return other.path == *plain && (log.begin == other.begin || log.begin == Instant::min());
         });
}
void drop_half_compressed(Logs& logs) {
  std::set<std::string> half;
  for (const LogToRead& log : logs) {
    if (is_half_compressed(log, logs)) half.insert(log.path);
  }
  std::erase_if(logs, [&](const LogToRead& log) { return half.contains(log.path); });
}

// In the order of their begins. What can be read again is closed until its time comes.
tl::expected<Logs, std::string> logs_to_read(const std::vector<std::string>& files, LogReader& reader) {
  Logs logs;
  for (const std::string& path : files) {
    if (is_named(logs, path)) continue;
    auto lines = open_past_lines(path);
    if (!lines) return tl::unexpected(lines.error());
    LogToRead& log = logs.emplace_back(LogToRead{path, (*lines)->time().value_or(Instant::min()), (*lines)->size()});
    if (path == "-" || path == "journal" || is_pipe(path)) log.lines = *std::move(lines);
  }
  drop_half_compressed(logs);
  for (const LogToRead& log : logs) reader.expect(log.size);
  std::ranges::stable_sort(logs, {}, &LogToRead::begin);
  return logs;
}

// Of logs that are being read, the place of the one whose next line is the oldest, and until when it is.
struct Turn {
  std::size_t log = 0;
  Instant until = Instant::max();
};
Turn oldest_of(const std::vector<LogToRead*>& open) {
  Turn turn;
  Instant oldest = Instant::max();
  for (std::size_t i = 0; i < open.size(); ++i) {
    const Instant time = open[i]->lines->time().value_or(Instant::min());  // at its end
    if (time < oldest) {
      turn = {i, oldest};
      oldest = time;
    } else {
      turn.until = std::min(turn.until, time);
    }
  }
  return turn;
}

// Side by side, each from its begin on.
tl::expected<void, std::string> read_in_order(std::span<LogToRead> logs, LogReader& reader) {
  std::vector<LogToRead*> open;
  while (!open.empty() || !logs.empty()) {
    Turn turn = oldest_of(open);
    const Instant next = logs.empty() ? Instant::max() : std::max(logs.front().begin, Instant()) + kOverlap;
    const bool begins = !logs.empty() && (open.empty() || open[turn.log]->lines->time().value_or(next) > next);
    if (begins) {
      LogToRead& log = logs.front();
      if (log.lines == nullptr) {
        auto lines = open_past_lines(log.path);
        if (!lines) return tl::unexpected(lines.error());
        log.lines = *std::move(lines);
      }
      open.push_back(&log);
      logs = logs.subspan(1);
      continue;
    }
    LogToRead& log = *open[turn.log];
    if (reader.read(log, std::min(turn.until, next))) continue;
    log.lines.reset();
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(turn.log));
  }
  return {};
}

}  // namespace

tl::expected<LogFigures, std::string> read_mail_logs(const std::vector<std::string>& files,
                                                     MailTrail::Listener& listener, const TellProgress& progress) {
  LogReader reader(listener, progress);
  auto logs = logs_to_read(files, reader);
  if (!logs) return tl::unexpected(logs.error());
  if (const auto read = read_in_order(*logs, reader); !read) return tl::unexpected(read.error());
  return reader.finish();
}

}  // namespace replygate
