#include "milter/outcome/outcome_file.h"

#include <algorithm>
#include <charconv>

#include "milter/outcome/outcome_key_text.h"

namespace replygate {
namespace {

constexpr int kForgottenTogether = 500;  // messages

constexpr const char* kRemoveRecipients = "DELETE FROM recipient WHERE sending = ?";

constexpr std::int64_t kNoKind = -1;
// Statements name them by their numbers.
static_assert(static_cast<int>(OutcomeKind::delivered) == 0 && static_cast<int>(OutcomeKind::deferred) == 1);

std::int64_t microseconds_of(Instant time) { return time.time_since_epoch().count(); }

OutcomeFile::Contents counted_in(OutcomeDatabase& db) {
  return {db.number("SELECT count(*) FROM sending"), db.number("SELECT count(*) FROM recipient")};
}

std::vector<std::int64_t> numbers_of(BoundStep& asked) {
  std::vector<std::int64_t> numbers;
  while (asked.row()) numbers.push_back(sqlite3_column_int64(asked.get(), 0));
  return numbers;
}

OutcomeFile::State state_at(sqlite3_stmt* row, int first) {
  OutcomeFile::State state;
  state.original = sqlite::column(row, first++);
  state.ref = sqlite::column(row, first);
  state.local = sqlite3_column_int64(row, first + 1) != 0;
  state.keys = outcome_keys_in(sqlite::octets(row, first + 2));
  const std::int64_t kind = sqlite3_column_int64(row, first + 3);
  if (kind != kNoKind) state.kind = static_cast<OutcomeKind>(kind);
  state.complained = sqlite3_column_int64(row, first + 4) != 0;
  state.reason = static_cast<Reason>(sqlite3_column_int64(row, first + 5));
  return state;
}

}  // namespace

OutcomeFile::OutcomeFile(OutcomeDatabase& db) : db_(db), contents_(counted_in(db)), before_(contents_) {}

std::string OutcomeFile::meta(std::string_view name) {
  BoundStep asked(db_, db_.statement("SELECT value FROM meta WHERE name = ?"));
  return asked.text(name).row() ? sqlite::column(asked.get(), 0) : "";
}

void OutcomeFile::set_meta(std::string_view name, std::string_view value) {
  BoundStep put(
      db_, db_.statement("INSERT INTO meta VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value"));
  put.text(name).text(value);
  db_.run(put.get());
}

OutcomeFile::Progress OutcomeFile::progress() {
  Progress progress{meta("log"), meta("position"), meta("earlier"), 0};
  const std::string lines = meta("lines");
  std::from_chars(lines.data(), lines.data() + lines.size(), progress.lines);
  return progress;
}

void OutcomeFile::set_progress(const Progress& progress) {
  set_meta("log", progress.log);
  set_meta("position", progress.position);
  set_meta("earlier", progress.earlier);
  set_meta("lines", std::to_string(progress.lines));
}

std::int64_t OutcomeFile::add(const Sending& sending, const std::vector<SentRecipient>& recipients) {
  {
    BoundStep put(
        db_, db_.statement("INSERT INTO sending (time, queue_id, session, ref, sender, user, client_ip, message_id)"
                           " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"));
    put.number(microseconds_of(sending.time)).text(sending.queue_id).text(sending.session).text(sending.ref);
    put.text(sending.sender).text(sending.user).text(sending.client_ip).text(sending.message_id);
    db_.run(put.get());
  }
  const std::int64_t number = db_.last_number();
  ++contents_.messages;
  add_id(sending.queue_id, number);
  for (const SentRecipient& r : recipients) {
    put_recipient(number, r.address, {.ref = r.ref, .local = r.local, .keys = r.keys, .kind = std::nullopt});
  }
  return number;
}

void OutcomeFile::add_id(std::string_view id, std::int64_t sending) {
  BoundStep put(
      db_,
      db_.statement("INSERT INTO open_id VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET sending = excluded.sending"));
  put.text(id).number(sending);
  db_.run(put.get());
}

void OutcomeFile::forget_id(std::string_view id) {
  BoundStep remove(db_, db_.statement("DELETE FROM open_id WHERE id = ?"));
  remove.text(id);
  db_.run(remove.get());
}

std::int64_t OutcomeFile::sending_of(std::string_view id) {
  BoundStep asked(db_, db_.statement("SELECT sending FROM open_id WHERE id = ?"));
  return asked.text(id).row() ? sqlite3_column_int64(asked.get(), 0) : 0;
}

std::optional<Sending> OutcomeFile::sending(std::int64_t number) {
  BoundStep asked(db_,
                  db_.statement("SELECT time, queue_id, session, ref, sender, user, client_ip, message_id FROM sending"
                                " WHERE number = ?"));
  if (!asked.number(number).row()) return std::nullopt;
  sqlite3_stmt* row = asked.get();
  return Sending{.number = number,
                 .time = Instant(Duration(sqlite3_column_int64(row, 0))),
                 .queue_id = sqlite::column(row, 1),
                 .session = sqlite::column(row, 2),
                 .ref = sqlite::column(row, 3),
                 .sender = sqlite::column(row, 4),
                 .user = sqlite::column(row, 5),
                 .client_ip = sqlite::column(row, 6),
                 .message_id = sqlite::column(row, 7)};
}

void OutcomeFile::set_message_id(std::int64_t number, std::string_view message_id) {
  BoundStep change(db_, db_.statement("UPDATE sending SET message_id = ? WHERE number = ?"));
  db_.run(change.text(message_id).number(number).get());
}

std::vector<std::int64_t> OutcomeFile::with_queue_id(std::string_view id, int most) {
  BoundStep asked(db_, db_.statement("SELECT number FROM sending WHERE queue_id = ? ORDER BY number DESC LIMIT ?"));
  return numbers_of(asked.text(id).number(most));
}

std::vector<std::int64_t> OutcomeFile::with_message_id(std::string_view id, int most) {
  BoundStep asked(
      db_, db_.statement(
               "SELECT number FROM sending WHERE message_id = ? AND message_id <> '' ORDER BY number DESC LIMIT ?"));
  return numbers_of(asked.text(id).number(most));
}

// What an alias has made and what the MTA has added are nobody's.
OutcomeFile::Addressed OutcomeFile::addressed(std::int64_t sending) {
  Addressed all;
  {
    BoundStep asked(db_, db_.statement("SELECT count(*), max(address), max(kind IN (-1, 0, 1)) FROM recipient"
                                       " WHERE sending = ? AND original = '' AND ref <> ''"));
    if (!asked.number(sending).row()) return all;
    if (sqlite3_column_int64(asked.get(), 0) == 1) all.only = sqlite::column(asked.get(), 1);
    all.reached = sqlite3_column_int64(asked.get(), 2) != 0;
  }
  BoundStep asked(
      db_, db_.statement("SELECT DISTINCT keys FROM recipient WHERE sending = ? AND original = '' AND ref <> ''"));
  asked.number(sending);
  CommonKeys common;
  while (asked.row()) common.add(outcome_keys_in(sqlite::octets(asked.get(), 0)));
  all.keys = common.keys();
  return all;
}

std::optional<OutcomeFile::State> OutcomeFile::recipient(std::int64_t sending, std::string_view address) {
  BoundStep asked(db_, db_.statement("SELECT original, ref, local, keys, kind, complained, reason FROM recipient"
                                     " WHERE sending = ? AND address = ?"));
  if (!asked.number(sending).text(address).row()) return std::nullopt;
  return state_at(asked.get(), 0);
}

void OutcomeFile::put_recipient(std::int64_t sending, std::string_view address, const State& state) {
  const std::string keys = text_of(state.keys);
  const std::int64_t kind = state.kind ? static_cast<std::int64_t>(*state.kind) : kNoKind;
  const auto complained = state.complained ? 1 : 0;
  const auto reason = static_cast<std::int64_t>(state.reason);
  {
    BoundStep put(db_,
                  db_.statement("INSERT INTO recipient VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"));
    put.number(sending).text(address).text(state.original).text(state.ref).number(state.local ? 1 : 0).octets(keys);
    db_.run(put.number(kind).number(complained).number(reason).get());
  }
  const bool added = db_.changed() > 0;
  contents_.recipients += added ? 1 : 0;
  if (added) return;
  BoundStep change(
      db_,
      db_.statement("UPDATE recipient SET kind = ?, complained = ?, reason = ? WHERE sending = ? AND address = ?"));
  db_.run(change.number(kind).number(complained).number(reason).number(sending).text(address).get());
}

void OutcomeFile::note_deferral(std::int64_t sending, std::string_view address, std::string_view id) {
  BoundStep put(db_, db_.statement("INSERT OR REPLACE INTO deferred VALUES (?, ?, ?)"));
  db_.run(put.number(sending).text(address).text(id).get());
}

std::vector<OutcomeFile::Standing> OutcomeFile::deferred_under(std::int64_t sending, std::string_view id) {
  std::vector<Standing> result;
  BoundStep asked(
      db_,
      db_.statement("SELECT address, original, ref, local, keys, kind, complained, reason FROM recipient"
                    " NATURAL JOIN deferred WHERE sending = ? AND id = ? AND kind = 1 AND NOT EXISTS (SELECT 1 FROM"
                    " recipient AS became WHERE became.sending = recipient.sending AND"
                    " became.original = recipient.address)"));
  asked.number(sending).text(id);
  while (asked.row()) result.push_back({sqlite::column(asked.get(), 0), state_at(asked.get(), 1)});
  return result;
}

std::int64_t OutcomeFile::forget(Instant oldest, std::int64_t recipients) {
  std::int64_t unfinished = 0;
  for (int i = 0; i < kForgottenTogether && forget_oldest(oldest, recipients, unfinished); ++i) continue;
  return unfinished;
}

bool OutcomeFile::forget_oldest(Instant oldest, std::int64_t recipients, std::int64_t& unfinished) {
  std::int64_t first = 0;
  {
    BoundStep asked(db_, db_.statement("SELECT number, time FROM sending ORDER BY number LIMIT 1"));
    if (!asked.row()) return false;
    first = sqlite3_column_int64(asked.get(), 0);
    const Instant time{Duration(sqlite3_column_int64(asked.get(), 1))};
    if (time >= oldest && contents_.recipients <= recipients) return false;
  }
  {
    BoundStep asked(
        db_, db_.statement("SELECT count(*) FROM recipient WHERE sending = ? AND (kind = 1 OR (kind = -1 AND NOT "
                           "EXISTS (SELECT 1 FROM recipient AS became"
                           " WHERE became.sending = recipient.sending AND became.original = recipient.address)))"));
    if (asked.number(first).row()) unfinished += sqlite3_column_int64(asked.get(), 0);
  }
  for (const char* sql : {kRemoveRecipients, "DELETE FROM deferred WHERE sending = ?",
                          "DELETE FROM open_id WHERE sending = ?", "DELETE FROM sending WHERE number = ?"}) {
    BoundStep remove(db_, db_.statement(sql));
    db_.run(remove.number(first).get());
    if (sql == kRemoveRecipients) contents_.recipients -= db_.changed();
  }
  --contents_.messages;
  return !db_.failed();
}

}  // namespace replygate
