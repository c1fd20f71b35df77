#include "milter/outcome/mail_logs.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "milter/outcome/journal_log.h"
#include "milter/outcome/log_clock.h"
#include "milter/outcome/past_log.h"

namespace replygate {
namespace {

constexpr std::int64_t kLinesBetween = 20000;  // words of progress

struct LogToRead {
  std::string path;
  Instant begin;
};

// When the first line was written that has a time.
Instant begin_of(PastLog& log) {
  LogClock clock(log.written());
  Instant begin{};
  bool found = false;
  const auto look = [&](std::string_view line) {
    if (found) return;
    begin = clock.read(line);
    found = begin != Instant();
  };
  while (!found && log.read(look)) {
  }
  return begin;
}

// Feeds a trail, and counts.
class LogReader {
 public:
  LogReader(MailTrail::Listener& listener, const TellProgress& progress) : trail_(listener), progress_(progress) {}

  void line(Instant time, const LogEvent& event) {
    ++figures_.lines;
    if (event.kind != LogEventKind::none && event.kind != LogEventKind::other) {
      ++figures_.told;
      trail_.take(time, event);
    }
    if (figures_.lines % kLinesBetween == 0) say();
  }

  void file(PastLog& log) {
    LogClock clock(log.written());
    const std::int64_t before = so_far_.octets;
    const auto take = [&](std::string_view line) { this->line(clock.read(line), read_log_event(line)); };
    while (log.read(take)) so_far_.octets = before + log.consumed();
    so_far_.octets = before + log.size();
    if (!log.trouble().empty()) figures_.troubles.push_back(log.trouble());
  }

  void journal(JournalLog& log) {
    while (const auto entry = log.next()) line(entry->time, read_log_event(entry->line));
  }

  void expect(std::int64_t octets) { so_far_.of_octets += octets; }

  LogFigures finish() {
    trail_.finish();
    say();
    figures_.trail = trail_.figures();
    return std::move(figures_);
  }

 private:
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

}  // namespace

tl::expected<LogFigures, std::string> read_mail_logs(const std::vector<std::string>& files,
                                                     MailTrail::Listener& listener, const TellProgress& progress) {
  LogReader reader(listener, progress);
  std::vector<LogToRead> logs;
  for (const std::string& path : files) {
    if (is_named(logs, path)) continue;
    if (path == "journal" || path == "-" || is_pipe(path)) {
      logs.push_back({path, Instant::max()});  // goes on where files end
      continue;
    }
    auto log = PastLog::open(path);
    if (!log) return tl::unexpected(log.error());
    reader.expect((*log)->size());
    logs.push_back({path, begin_of(**log)});
  }
  std::ranges::stable_sort(logs, {}, &LogToRead::begin);
  for (const LogToRead& each : logs) {
    if (each.path == "journal") {
      auto journal = JournalLog::open("");
      if (!journal) return tl::unexpected(journal.error());
      reader.journal(**journal);
      continue;
    }
    auto log = PastLog::open(each.path);
    if (!log) return tl::unexpected(log.error());
    reader.file(**log);
  }
  return reader.finish();
}

}  // namespace replygate
