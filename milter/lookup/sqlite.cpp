#include "milter/lookup/sqlite.h"

namespace replygate::sqlite {

Database open(const std::string& path, std::string& why) {
  constexpr int kBusyMilliseconds = 1000;
  sqlite3* raw = nullptr;
  const int status = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
  Database db(raw);
  if (status != SQLITE_OK) {
    why = sqlite3_errstr(status);
    return nullptr;
  }
  sqlite3_busy_timeout(raw, kBusyMilliseconds);
  return db;
}

Statement prepare(sqlite3* db, const std::string& query, std::string& why) {
  sqlite3_stmt* raw = nullptr;
  const char* rest = nullptr;
  const int status = sqlite3_prepare_v2(db, query.c_str(), static_cast<int>(query.size()), &raw, &rest);
  Statement statement(raw);
  if (status != SQLITE_OK || raw == nullptr) {
    why = status != SQLITE_OK ? sqlite3_errmsg(db) : "the query is empty";
    return nullptr;
  }
  if (sqlite3_stmt_readonly(raw) == 0) {
    why = "the query must only read";
    return nullptr;
  }
  return statement;
}

std::string column(sqlite3_stmt* statement, int index) {
  const auto* text = sqlite3_column_text(statement, index);
  const int size = sqlite3_column_bytes(statement, index);
  return text == nullptr ? "" : std::string(reinterpret_cast<const char*>(text), static_cast<std::size_t>(size));
}

Statement prepare_to_keep(sqlite3* db, const char* query) {
  sqlite3_stmt* raw = nullptr;
  sqlite3_prepare_v3(db, query, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
  return Statement(raw);
}

std::string_view octets(sqlite3_stmt* statement, int index) {
  const void* octets = sqlite3_column_blob(statement, index);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, index));
  return octets == nullptr ? std::string_view() : std::string_view(static_cast<const char*>(octets), size);
}

void bind_octets(sqlite3_stmt* statement, int index, std::string_view octets) {
  sqlite3_bind_blob(statement, index, octets.empty() ? "" : octets.data(), static_cast<int>(octets.size()),
                    SQLITE_STATIC);
}

bool run(sqlite3_stmt* statement) {
  const bool done = sqlite3_step(statement) == SQLITE_DONE;
  sqlite3_reset(statement);
  return done;
}

bool is_unusable(int status) {
  const int primary = status & 0xff;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB || primary == SQLITE_ERROR || primary == SQLITE_MISMATCH;
}

}  // namespace replygate::sqlite
