#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// The part of UCL that configurations of rspamd use: objects, arrays, texts, comments.
namespace replygate::import::ucl {

struct Member;

struct Value {
  enum class Kind : std::uint8_t { text, object, array };
  Kind kind = Kind::text;
  std::string text;  // numbers and words, too
  std::vector<Member> members;
  std::vector<Value> items;

  // Of an object; nullptr where it has none.
  const Value* find(std::string_view key) const;
  // A text, or those of an array.
  std::vector<std::string> texts() const;
};

struct Member {
  std::string key;
  Value value;
};

// The object that a file is; nothing, and why, where it cannot be read. Macros (".include") are passed over.
std::optional<Value> parse(std::string_view text, std::string& why);

}  // namespace replygate::import::ucl
