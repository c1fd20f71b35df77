#pragma once

#include <optional>
#include <string>

#include "policy/rules/data_source.h"

namespace replygate {

// The rows of a SQLite query, or the keys of a cdb or LMDB file, as DataSource says: one a line. Nothing, with the
// reason in `why`, where that fails. Databases are opened for reading alone.
std::optional<std::string> sqlite_rows(const DataSource& source, std::string& why);
std::optional<std::string> cdb_keys(const DataSource& source, std::string& why);
std::optional<std::string> lmdb_keys(const DataSource& source, std::string& why);

}  // namespace replygate
