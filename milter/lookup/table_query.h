#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

// How Postfix makes queries and results of a table of their formats, see mysql_table(5). Pure; any thread.
namespace replygate {

using QuoteText = std::function<std::string(std::string_view)>;

// The query for a key: %s is the key, %u and %d its local part and domain, %1 to %9 labels of the domain from the end,
// %% a '%'; capital letters are the same. Nothing where the key has no such part: nothing is asked then.
std::optional<std::string> expand_query(std::string_view format, std::string_view key, const QuoteText& quote);

// A result in its format: small letters are of the value, capital letters and digits of the key. Nothing where one of
// them has no such part.
std::optional<std::string> expand_result(std::string_view format, std::string_view value, std::string_view key);

// Whether a table whose `domain` names these domains is asked for the key; "" names all.
bool is_in_domains(std::string_view domains, std::string_view key);

}  // namespace replygate
