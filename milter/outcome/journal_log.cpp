#include "milter/outcome/journal_log.h"

#include <fmt/format.h>
#include <systemd/sd-journal.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace replygate {
namespace {

std::string why_not(int result) { return std::generic_category().message(-result); }

}  // namespace

void JournalLog::Close::operator()(sd_journal* journal) const { sd_journal_close(journal); }

tl::expected<std::unique_ptr<JournalLog>, std::string> JournalLog::open_unplaced(const std::string& folder) {
  sd_journal* raw = nullptr;
  const int opened = folder.empty() ? sd_journal_open(&raw, SD_JOURNAL_LOCAL_ONLY)
                                    : sd_journal_open_directory(&raw, folder.c_str(), 0);
  if (opened < 0) return tl::unexpected(fmt::format("the journal: {}", why_not(opened)));
  std::unique_ptr<JournalLog> log(new JournalLog);
  log->journal_.reset(raw);
  log->folder_ = folder;
  if (const int matched = sd_journal_add_match(raw, "SYSLOG_FACILITY=2", 0); matched < 0) {
    return tl::unexpected(fmt::format("the journal: {}", why_not(matched)));
  }
  return log;
}

tl::expected<std::unique_ptr<JournalLog>, std::string> JournalLog::open(const std::string& cursor,
                                                                        const std::string& folder) {
  auto log = open_unplaced(folder);
  if (!log) return log;
  sd_journal* raw = (*log)->journal_.get();
  const int sought = cursor.empty() ? sd_journal_seek_head(raw) : sd_journal_seek_cursor(raw, cursor.c_str());
  if (sought < 0) return tl::unexpected(fmt::format("the journal: {}", why_not(sought)));
  if (cursor.empty() || sd_journal_next(raw) <= 0) return log;
  // The entry itself, where it is still there, was read before; else the one behind it is yet to come.
  (*log)->goes_on_ = sd_journal_test_cursor(raw, cursor.c_str()) > 0;
  if (!(*log)->goes_on_) sd_journal_seek_cursor(raw, cursor.c_str());
  return log;
}

tl::expected<std::unique_ptr<JournalLog>, std::string> JournalLog::open_at_end(const std::string& folder) {
  auto log = open_unplaced(folder);
  if (!log) return log;
  sd_journal* raw = (*log)->journal_.get();
  if (const int sought = sd_journal_seek_tail(raw); sought < 0) {
    return tl::unexpected(fmt::format("the journal: {}", why_not(sought)));
  }
  // Behind the last entry there may be one by the time it is asked for.
  (*log)->at_entry_ = sd_journal_previous(raw) > 0;
  if (!(*log)->at_entry_) sd_journal_seek_head(raw);
  return log;
}

void JournalLog::look_again() {
  if (sd_journal_get_fd(journal_.get()) >= 0) sd_journal_process(journal_.get());
}

bool JournalLog::is_readable() const {
  std::error_code ignored;
  if (!folder_.empty()) return !std::filesystem::is_empty(folder_, ignored);
  return sd_journal_has_runtime_files(journal_.get()) > 0 || sd_journal_has_persistent_files(journal_.get()) > 0;
}

const std::string& JournalLog::field(const char* name, std::string& into) const {
  const void* data = nullptr;
  std::size_t size = 0;
  into.clear();
  if (sd_journal_get_data(journal_.get(), name, &data, &size) < 0) return into;
  const std::size_t lead = std::strlen(name) + 1;
  if (size > lead) into.assign(static_cast<const char*>(data) + lead, size - lead);
  return into;
}

std::optional<JournalLog::Entry> JournalLog::next() {
  if (sd_journal_next(journal_.get()) <= 0) return std::nullopt;
  at_entry_ = true;
  std::uint64_t at = 0;
  sd_journal_get_realtime_usec(journal_.get(), &at);
  field("SYSLOG_IDENTIFIER", program_);
  if (field("SYSLOG_PID", pid_).empty()) field("_PID", pid_);
  field("MESSAGE", message_);
  return Entry{Instant(Duration(static_cast<std::int64_t>(at))), {program_, pid_, message_}};
}

std::string JournalLog::cursor() const {
  char* text = nullptr;
  if (!at_entry_ || sd_journal_get_cursor(journal_.get(), &text) < 0) return "";
  std::string cursor(text);
  std::free(text);
  return cursor;
}

}  // namespace replygate
