#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <string_view>

// SQLite's handles with an owner.
namespace replygate::sqlite {

struct Close {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Database = std::unique_ptr<sqlite3, Close>;
using Statement = std::unique_ptr<sqlite3_stmt, Close>;

// For reading alone. Null, with the reason in `why`, where that fails.
Database open(const std::string& path, std::string& why);
// Null likewise, also for whatever does not only read.
Statement prepare(sqlite3* db, const std::string& query, std::string& why);

// To be kept and run again and again. Null where that fails; the database says why.
Statement prepare_to_keep(sqlite3* db, const char* query);

// A status, extended or not, says that the file is of no use, not that it could not be read just now.
bool is_unusable(int status);

// As text; "" for NULL.
std::string column(sqlite3_stmt* statement, int index);
// As octets, which are good until the next step; "" for NULL.
std::string_view octets(sqlite3_stmt* statement, int index);
// Octets that stay until the statement was run; never NULL.
void bind_octets(sqlite3_stmt* statement, int index, std::string_view octets);
// Runs what gives no rows, so that it can be run again. False: it failed.
bool run(sqlite3_stmt* statement);

}  // namespace replygate::sqlite
