#include "milter/outcome/dead_list.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <mutex>

#include "policy/decide/dead_reports.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kMostReportText = 300;

std::vector<std::int64_t> times_in(std::string_view text) {
  std::vector<std::int64_t> times;
  for (const std::string_view part : split(text, ' ')) {
    std::int64_t time = 0;
    if (std::from_chars(part.data(), part.data() + part.size(), time).ec == std::errc()) times.push_back(time);
  }
  return times;
}

}  // namespace

DeadList::DeadList(OutcomeDatabase& db, const OutcomeSettings& settings, const Clock& clock)
    : db_(db), settings_(settings), clock_(clock) {
  read_anew();
}

DeadList::Entry DeadList::entry_at(sqlite3_stmt* row) const {
  const std::vector<std::int64_t> times = times_in(sqlite::column(row, 1));
  Entry entry{.address = sqlite::column(row, 0),
              .reports = static_cast<std::int64_t>(times.size()),
              .reason = static_cast<Reason>(sqlite3_column_int64(row, 2)),
              .text = sqlite::column(row, 3)};
  if (times.empty()) return entry;
  entry.last = Instant(Duration(times.back()));
  entry.until = dead_until(times, settings_);
  return entry;
}

void DeadList::keep(const Entry& entry) {
  const std::unique_lock lock(mutex_);
  if (entry.until > entry.last) {
    until_[entry.address] = entry.until;
  } else {
    until_.erase(entry.address);
  }
}

void DeadList::read_anew() {
  {
    const std::unique_lock lock(mutex_);
    until_.clear();
  }
  known_ = 0;
  BoundStep asked(db_, db_.statement("SELECT address, times, reason, text FROM dead"));
  for (; asked.row(); ++known_) keep(entry_at(asked.get()));
}

bool DeadList::is_dead(const Address& recipient) const {
  const Instant now = clock_.now() + clock_.wall_ahead();
  const std::shared_lock lock(mutex_);
  const auto found = until_.find(recipient.full);
  return found != until_.end() && now < found->second;
}

std::size_t DeadList::dead() const {
  const std::shared_lock lock(mutex_);
  return until_.size();
}

void DeadList::report(const std::string& address, Instant time, Reason reason, std::string_view text) {
  std::vector<std::int64_t> times;
  {
    BoundStep asked(db_, db_.statement("SELECT times FROM dead WHERE address = ?"));
    if (asked.text(address).row()) times = times_in(sqlite::column(asked.get(), 0));
  }
  known_ += times.empty() ? 1 : 0;
  add_dead_report(times, time, settings_);
  const std::string all = fmt::format("{}", fmt::join(times, " "));
  {
    BoundStep put(
        db_,
        db_.statement("INSERT INTO dead VALUES (?, ?, ?, ?, ?) ON CONFLICT (address) DO UPDATE SET"
                      " times = excluded.times, last = excluded.last, reason = excluded.reason, text = excluded.text"));
    put.text(address).text(all).number(times.back()).number(static_cast<std::int64_t>(reason));
    db_.run(put.text(text.substr(0, kMostReportText)).get());
  }
  if (const auto entry = find(address)) keep(*entry);
}

bool DeadList::clear(const std::string& address) {
  BoundStep remove(db_, db_.statement("DELETE FROM dead WHERE address = ?"));
  db_.run(remove.text(address).get());
  const bool was_there = db_.changed() > 0;
  known_ -= was_there ? 1 : 0;
  const std::unique_lock lock(mutex_);
  until_.erase(address);
  return was_there;
}

std::optional<DeadList::Entry> DeadList::find(const std::string& address) {
  BoundStep asked(db_, db_.statement("SELECT address, times, reason, text FROM dead WHERE address = ?"));
  if (!asked.text(address).row()) return std::nullopt;
  return entry_at(asked.get());
}

std::vector<DeadList::Entry> DeadList::last(std::int64_t most) {
  std::vector<Entry> entries;
  BoundStep asked(db_, db_.statement("SELECT address, times, reason, text FROM dead ORDER BY last DESC LIMIT ?"));
  asked.number(most);
  while (asked.row()) entries.push_back(entry_at(asked.get()));
  return entries;
}

void DeadList::forget(Instant now) {
  constexpr int kTogether = 100;
  const Duration kept = dead_report_kept(settings_);
  for (int i = 0; i < kTogether; ++i) {
    std::string oldest;
    {
      BoundStep asked(db_, db_.statement("SELECT address, last FROM dead ORDER BY last LIMIT 1"));
      if (!asked.row()) return;
      const Instant last{Duration(sqlite3_column_int64(asked.get(), 1))};
      if (last + kept >= now && known_ <= std::int64_t{kMostDeadReported}) return;
      oldest = sqlite::column(asked.get(), 0);
    }
    clear(oldest);
  }
}

}  // namespace replygate
