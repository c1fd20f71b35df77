#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The rows of a database as mysqldump, pg_dump and the shell of SQLite write them.
namespace replygate::import {

class SqlDump {
 public:
  // Column → value, names in lower case; NULL is absent.
  using Row = std::map<std::string, std::string, std::less<>>;

  explicit SqlDump(std::string_view text);

  // Of a table, in their order; none where it is not there.
  const std::vector<Row>& rows(std::string_view table) const;
  bool has(std::string_view table) const { return columns_.contains(table) || rows_.contains(table); }

 private:
  friend class SqlReader;

  std::map<std::string, std::vector<std::string>, std::less<>> columns_;
  std::map<std::string, std::vector<Row>, std::less<>> rows_;
};

// Without octets that are no UTF-8; tabs and line ends stay, since they part values.
std::string cleaned_dump(std::string_view text);

// "" where the row has no such column, or NULL in it.
std::string field(const SqlDump::Row& row, std::string_view column);

}  // namespace replygate::import
