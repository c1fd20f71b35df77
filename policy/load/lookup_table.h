#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rules/live_source.h"

// Postfix's descriptions of tables that are looked up: mysql_table(5), pgsql_table(5), ldap_table(5). Pure; any thread.
namespace replygate {

// One parameter, and where it stands.
struct TableParameter {
  std::string name;
  std::string value;
  unsigned line = 0;
  unsigned column = 1;
};

// What a description says: "name = value", '#' begins a comment line, a line that begins with a blank goes on. Of a
// line that is neither the name is "".
std::vector<TableParameter> parse_lookup_table(std::string_view text);

// The value of a parameter, the last one that is given; `otherwise` where there is none.
std::string table_value(const std::vector<TableParameter>& parameters, std::string_view name,
                        std::string_view otherwise = "");

// What replygate makes of a parameter.
enum class TableKey : std::uint8_t { used, idle, unsupported, unknown };
TableKey table_key(LiveSource::Kind kind, std::string_view name);
// Those that it uses.
std::vector<std::string_view> table_keys(LiveSource::Kind kind);

// The query of a description in MySQL or PostgreSQL, made of the parameters of old where it has none; "" where it says
// neither.
std::string table_query(const std::vector<TableParameter>& parameters);

// The first '%' of a query or of a result's format, and what follows it, that stands for nothing; "" where all do.
std::string unknown_placeholder(std::string_view format);

// Its text, line by line, without the values of passwords, without what stands in lines that no table has, and without
// who logs in by a URI.
std::string without_passwords(std::string_view text);

}  // namespace replygate
