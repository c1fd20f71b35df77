#pragma once

#include <string>
#include <string_view>

// By which a text shows what its writer took it for. Pure; any thread.
namespace replygate {

// Stands for more than the one value that it spells.
bool is_pattern(std::string_view text);

// "/expression/".
bool is_closed_expression(std::string_view text);

// "/CN=client.example" of certificates, "/G=Ann/S=Bo/@gateway.example" of X.400: begins with a slash and is no
// expression.
bool is_attribute_path(std::string_view text);

// Has anchors or escapes of regular expressions, which no address and no name has.
bool looks_like_expression(std::string_view text);

// "{sender}", as texts of replies name facts; "" for none.
std::string_view fact_in_braces(std::string_view text);

// The text with a '.' for each full stop of East Asian scripts, which people take for the dot of a domain.
std::string with_plain_dots(std::string_view text);

// Letters, digits and marks of ASCII in lower case alone, as most addresses and names are made of them, perhaps behind
// an '@' or a dot: it has no sign by which is_meant_otherwise() or a glob is known.
bool is_everyday(std::string_view text);

}  // namespace replygate
