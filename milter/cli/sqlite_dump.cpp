#include "milter/cli/sqlite_dump.h"

#include <fmt/format.h>

#include <vector>

#include "milter/lookup/sqlite.h"

namespace replygate {
namespace {

std::string sql_name(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text.append(c == '"' ? 2 : 1, c);
  return text + '"';
}

std::string sql_value(sqlite3_stmt* statement, int index) {
  if (sqlite3_column_type(statement, index) == SQLITE_NULL) return "NULL";
  std::string text = "'";
  for (const char c : sqlite::column(statement, index)) text.append(c == '\'' || c == '\\' ? 2 : 1, c);
  return text + '\'';
}

void dump_table(sqlite3* db, const std::string& table, std::string& dump) {
  std::string why;
  const auto rows = sqlite::prepare(db, "select * from " + sql_name(table), why);
  if (!rows) return;
  const int columns = sqlite3_column_count(rows.get());
  std::string names;
  for (int i = 0; i < columns; ++i) {
    names += fmt::format("{}{}", i > 0 ? ", " : "", sql_name(sqlite3_column_name(rows.get(), i)));
  }
  dump += fmt::format("CREATE TABLE {} ({});\n", sql_name(table), names);
  while (sqlite3_step(rows.get()) == SQLITE_ROW) {
    std::string values;
    for (int i = 0; i < columns; ++i) values += fmt::format("{}{}", i > 0 ? ", " : "", sql_value(rows.get(), i));
    dump += fmt::format("INSERT INTO {} ({}) VALUES ({});\n", sql_name(table), names, values);
  }
}

}  // namespace

bool is_sqlite(const std::string& content) { return content.starts_with(std::string("SQLite format 3\0", 16)); }

tl::expected<std::string, std::string> dump_sqlite(const std::string& path) {
  std::string why;
  const auto db = sqlite::open(path, why);
  if (!db) return tl::unexpected(why);
  const auto tables =
      sqlite::prepare(db.get(), "select name from sqlite_master where type = 'table' order by name", why);
  if (!tables) return tl::unexpected(why);
  std::vector<std::string> names;
  while (sqlite3_step(tables.get()) == SQLITE_ROW) names.push_back(sqlite::column(tables.get(), 0));
  std::string dump;
  for (const std::string& name : names) dump_table(db.get(), name, dump);
  return dump;
}

}  // namespace replygate
