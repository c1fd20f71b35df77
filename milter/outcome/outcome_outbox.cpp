#include "milter/outcome/outcome_outbox.h"

namespace replygate {

void OutcomeOutbox::add(Entry& entry) {
  BoundStep put(db_,
                db_.statement("INSERT INTO outbox (time, unit, unmeant, rule, key, member) VALUES (?, ?, ?, ?, ?, ?)"));
  put.number(entry.outcome.at.time_since_epoch().count()).text(to_string(entry.outcome.unit));
  put.number(entry.outcome.unmeant ? 1 : 0).text(entry.key.rule).text(entry.key.key).text(entry.outcome.member);
  db_.run(put.get());
  entry.number = db_.last_number();
}

void OutcomeOutbox::remove(std::int64_t number) {
  BoundStep remove(db_, db_.statement("DELETE FROM outbox WHERE number = ?"));
  db_.run(remove.number(number).get());
}

std::vector<OutcomeOutbox::Entry> OutcomeOutbox::all() {
  std::vector<Entry> entries;
  BoundStep asked(db_,
                  db_.statement("SELECT number, time, unit, unmeant, rule, key, member FROM outbox ORDER BY number"));
  while (asked.row()) {
    sqlite3_stmt* row = asked.get();
    const auto unit = unit_from(sqlite::column(row, 2));
    if (!unit) continue;
    entries.push_back({.number = sqlite3_column_int64(row, 0),
                       .key = {sqlite::column(row, 4), sqlite::column(row, 5)},
                       .outcome = {.unit = *unit,
                                   .member = sqlite::column(row, 6),
                                   .at = Instant(Duration(sqlite3_column_int64(row, 1))),
                                   .unmeant = sqlite3_column_int64(row, 3) != 0}});
  }
  return entries;
}

}  // namespace replygate
