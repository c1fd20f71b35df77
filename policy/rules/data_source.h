#pragma once

#include <cstdint>
#include <string>

namespace replygate {

// Something outside of the policy that it names.
struct DataSource {
  enum class Kind : std::uint8_t {
    file,
    glob,    // the paths that match a pattern, one a line, sorted
    sqlite,  // the rows of `query`, one a line, columns parted by a tab
    cdb,     // the keys, one a line; so is lmdb
    lmdb,
    lookup_table,  // Postfix's description of a table, without its passwords
  };

  Kind kind = Kind::file;
  std::string path;
  std::string query;  // of sqlite

  bool operator==(const DataSource&) const = default;
  // For places: "path", or "path: query". No two sources have the same.
  std::string text() const {
    if (kind == Kind::glob) return "files " + path;
    return query.empty() ? path : path + ": " + query;
  }
};

}  // namespace replygate
