#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/load/diagnostic.h"

namespace replygate {

struct Entry;

// A TOML value with its place. Tables keep the order of the file.
struct Node {
  enum class Kind : std::uint8_t { boolean, integer, real, string, array, table, other };

  Kind kind = Kind::other;
  Region region;
  bool boolean = false;
  std::int64_t integer = 0;
  double real = 0;
  std::string string;
  std::vector<Node> items;     // of an array
  std::vector<Entry> entries;  // of a table

  const Entry* find(std::string_view key) const;
};

struct Entry {
  std::string key;
  Region key_region;
  Node value;
};

// "a string", "a whole number" …
std::string_view describe(Node::Kind kind);

// The root table, or what is wrong with the syntax. `file` names the text in places.
std::variant<Node, Diagnostic> parse_document(std::string_view text, const std::string& file);

// The part of a one-line string value that begins at octet `offset`; the value itself where that can't be told.
Region part_of(const Node& string, std::size_t offset, std::size_t length);

}  // namespace replygate
