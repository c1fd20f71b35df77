#pragma once

#include <string>
#include <tl/expected.hpp>

namespace replygate {

// Whether the content is that of a database file of SQLite.
bool is_sqlite(const std::string& content);

// The rows of all tables of a file as INSERT statements, as the shell of SQLite would write them; else why not.
tl::expected<std::string, std::string> dump_sqlite(const std::string& path);

}  // namespace replygate
