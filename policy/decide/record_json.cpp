#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <utility>

#include "policy/decide/record.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/characters.h"

namespace replygate {
namespace detail {
namespace {

// Octets that a text with others than printable ASCII may take as it is written, so that a record stays short.
constexpr std::size_t kLongestEscaped = 500;
constexpr std::size_t kEscape = 6;    // of a control character: \u0000
constexpr std::size_t kUsual = 2048;  // octets of a record

// Most texts are so short that a call would take longer. Some octets may be copied twice.
[[gnu::always_inline]] inline char* copy(char* to, std::string_view text) {
  constexpr std::size_t kStep = sizeof(std::uint64_t);
  constexpr std::size_t kShort = 4 * kStep;
  const std::size_t size = text.size();
  if (size > kShort) {
    std::memcpy(to, text.data(), size);
  } else if (size >= kStep) {
    for (std::size_t at = 0; at + kStep < size; at += kStep) std::memcpy(to + at, text.data() + at, kStep);
    std::memcpy(to + size - kStep, text.data() + size - kStep, kStep);
  } else if (size >= kStep / 2) {
    std::memcpy(to, text.data(), kStep / 2);
    std::memcpy(to + size - kStep / 2, text.data() + size - kStep / 2, kStep / 2);
  } else if (size > 0) {
    to[0] = text.front();
    to[size / 2] = text[size / 2];
    to[size - 1] = text.back();
  }
  return to + size;
}

bool is_plain_octet(char c) { return c >= ' ' && c < '\x7f' && c != '"' && c != '\\'; }

// Eight octets at once: none beyond ASCII, below ' ', or one of three.
[[gnu::always_inline]] inline bool are_plain(const char* begin) {
  constexpr std::uint64_t kEach = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x80 * kEach;
  std::uint64_t octets = 0;
  std::memcpy(&octets, begin, sizeof octets);
  const auto has = [octets](char c) {
    const std::uint64_t zero = octets ^ static_cast<unsigned char>(c) * kEach;
    return (zero - kEach) & ~zero;
  };
  const std::uint64_t low = (octets - 0x20 * kEach) & ~octets;
  return ((octets | low | has('\x7f') | has('"') | has('\\')) & kHigh) == 0;
}

}  // namespace

// The last eight may have been looked at already.
bool stands_as_it_is(std::string_view text) {
  constexpr std::size_t kStep = sizeof(std::uint64_t);
  if (text.size() > kLongestText) return false;
  if (text.size() < kStep) return std::ranges::all_of(text, is_plain_octet);
  for (std::size_t at = 0; at + kStep <= text.size(); at += kStep) {
    if (!are_plain(text.data() + at)) return false;
  }
  return are_plain(text.data() + text.size() - kStep);
}

namespace {

std::string cut_and_escaped(std::string_view text) {
  std::string result;
  for (std::size_t written = 0; !text.empty() && written < kLongestEscaped;) {
    written += static_cast<unsigned char>(text.front()) < ' ' ? kEscape : 1;
    const Character c = take_character(text);
    if (c.number) {
      result += c.octets;
    } else {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(c.octets.front()));
      written += kEscape;
    }
  }
  if (!text.empty()) result += "...";
  return result;
}

}  // namespace

std::string safe_text(std::string_view text) {
  return stands_as_it_is(text) ? std::string(text) : cut_and_escaped(text);
}

void append_quoted(std::string& out, std::string_view text) {
  out += boost::json::serialize(boost::json::string(text));
}

namespace {

std::string quoted(std::string_view text) {
  std::string result;
  append_quoted(result, cut_and_escaped(text));
  return result;
}

char* copy_quoted(char* to, std::string_view text) {
  *to++ = '"';
  to = copy(to, text);
  *to++ = '"';
  return to;
}

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
  if (!stands_as_it_is(text)) return append_quoted(out, cut_and_escaped(text));
  out += '"';
  out += text;
  out += '"';
}

// So that each field asks for room once.
constexpr std::size_t kAround = 16;  // the comma, quotes and colon, and a bracket, a digit's sign or "false"

char* JsonWriter::room(std::size_t octets) {
  if (out_.size() < size_ + octets) out_.resize(std::max<std::size_t>(kUsual, 2 * (size_ + octets)));
  return out_.data() + size_;
}

void JsonWriter::put(char c) {
  *room(1) = c;
  ++size_;
}

inline char* JsonWriter::comma(char* at) {
  if (!std::exchange(first_, false)) *at++ = ',';
  return at;
}

inline char* JsonWriter::key(char* at, std::string_view key) {
  at = comma(at);
  *at++ = '"';
  at = copy(at, key);
  *at++ = '"';
  *at++ = ':';
  return at;
}

void JsonWriter::begin(std::string_view name, char bracket, char end) {
  char* at = key(room(name.size() + kAround), name);
  *at++ = bracket;
  end_at(at);
  ends_ += end;
  first_ = true;
}

void JsonWriter::open_root(char bracket) {
  put(bracket);
  ends_ += bracket == '{' ? '}' : ']';
  first_ = true;
}

void JsonWriter::open_item() {
  end_at(comma(room(1)));
  open_root('{');
}

void JsonWriter::close() {
  put(ends_.back());
  ends_.pop_back();
  first_ = false;
}

void JsonWriter::end_line() { put('\n'); }

// A text behind what `lead` writes.
template <typename Lead>
void JsonWriter::write_text(std::size_t lead_octets, std::string_view text, const Lead& lead) {
  const std::string other = stands_as_it_is(text) ? std::string() : quoted(text);
  const std::size_t octets = other.empty() ? text.size() : other.size();
  char* const at = lead(room(lead_octets + octets + kAround));
  end_at(other.empty() ? copy_quoted(at, text) : copy(at, other));
}

void JsonWriter::text(std::string_view name, std::string_view text) {
  write_text(name.size(), text, [&](char* at) { return key(at, name); });
}

void JsonWriter::number(std::string_view name, std::int64_t value) {
  constexpr std::size_t kDigits = 20;
  char* const at = key(room(name.size() + kDigits + kAround), name);
  end_at(std::to_chars(at, at + kDigits, value).ptr);
}

void JsonWriter::flag(std::string_view name, bool value) {
  char* const at = key(room(name.size() + kAround), name);
  end_at(copy(at, value ? "true" : "false"));
}

void JsonWriter::item(std::string_view text) {
  write_text(0, text, [&](char* at) { return comma(at); });
}

}  // namespace detail

std::string to_json(const Record& record) {
  detail::JsonWriter fields;
  fields.open_root('{');
  detail::write_transaction(fields, record, record.ref);
  fields.open_list("recipients");
  for (const JudgedRecipient& judged : record.recipients) {
    fields.open_item();
    fields.text("ref", judged.ref);
    detail::write_recipient(fields, judged, record);
    fields.close();
  }
  fields.close();
  fields.close();
  fields.end_line();
  return std::string(fields.written());
}

}  // namespace replygate
