#include "milter/outcome/mail_log_feed.h"

#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "milter/outcome/followed_log.h"
#include "milter/outcome/journal_log.h"
#include "milter/outcome/log_clock.h"

namespace replygate {
namespace {

class FileFeed final : public MailLogFeed {
 public:
  FileFeed(const std::string& path, const std::string& position) : log_(path, LogPosition::parse(position)) {}

  bool read(Instant now, const Take& take) override {
    clock_.written(now);
    return log_.read([&](std::string_view line) {
      const LogEvent event = read_log_event(line);
      take(clock_.read(line), event);
    });
  }

  bool goes_on() const override { return log_.goes_on(); }
  std::string loss() const override { return log_.is_lost() ? log_.loss() : ""; }
  std::string position() const override { return log_.position() ? log_.position()->text() : ""; }
  std::string landmark() const override { return log_.position() && log_.position()->offset == 0 ? "" : position(); }
  std::string trouble() const override { return log_.trouble(); }

 private:
  FollowedLog log_;
  LogClock clock_{Instant()};
};

class JournalFeed final : public MailLogFeed {
 public:
  JournalFeed(std::unique_ptr<JournalLog> log, std::string position)
      : log_(std::move(log)), position_(std::move(position)) {}

  bool read(Instant, const Take& take) override {
    constexpr int kTogether = 2000;
    log_->look_again();
    for (int i = 0; i < kTogether; ++i) {
      const auto entry = log_->next();
      if (!entry) return false;
      take(entry->time, read_log_event(entry->line));
    }
    return true;
  }

  bool goes_on() const override { return log_->goes_on(); }
  std::string loss() const override {
    const bool lost = !position_.empty() && !log_->goes_on();
    return lost ? "what was read last is no longer there; entries may be missing, and reading goes on at the oldest"
                : "";
  }
  std::string position() const override {
    const std::string cursor = log_->cursor();
    return cursor.empty() ? position_ : cursor;
  }

  std::string trouble() const override { return log_->is_readable() ? "" : "the journal: it may not be read"; }

 private:
  std::unique_ptr<JournalLog> log_;
  const std::string position_;
};

}  // namespace

tl::expected<std::unique_ptr<MailLogFeed>, std::string> open_mail_log_feed(const std::string& log,
                                                                           const std::string& position,
                                                                           const std::string& folder) {
  std::error_code ignored;
  if (log != "journal" && std::filesystem::is_directory(log, ignored)) {
    return tl::unexpected(fmt::format("{}: it is a folder", log));
  }
  if (log != "journal") return std::make_unique<FileFeed>(log, position);
  auto journal = position.empty() ? JournalLog::open_at_end(folder) : JournalLog::open(position, folder);
  if (!journal) return tl::unexpected(journal.error());
  return std::make_unique<JournalFeed>(*std::move(journal), position);
}

}  // namespace replygate
