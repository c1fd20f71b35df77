#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The text of an access table of Postfix, of whatever type.
namespace replygate::import::access {

enum class Type : std::uint8_t {
  indexed,  // hash, btree, lmdb, cdb, texthash …: the most exact key
  cidr,     // the first network
  pattern,  // pcre, regexp: the first expression
};

struct Entry {
  unsigned line = 0;
  std::string text;  // the line, for people
  std::string key;   // of a pattern without its slashes
  bool negated = false;
  std::string flags;
  std::string action;
  bool again = false;  // its key is there before, which counts
  std::string why;     // why it cannot be had; "" where it can
};

struct Table {
  Type type = Type::indexed;
  std::vector<Entry> entries;  // in their order; of an index each key once
};

// `type`: as main.cf names it; "" by the look of the entries.
Table table_of(std::string_view text, std::string_view type);

// Whether main.cf's name of a type is one whose source is a text of this kind.
bool has_text(std::string_view type);

}  // namespace replygate::import::access
