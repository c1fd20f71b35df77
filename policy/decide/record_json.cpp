#include <fmt/format.h>

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <cstdint>
#include <cstring>

#include "policy/decide/record.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/characters.h"

namespace replygate {
namespace detail {
namespace {

// Octets that a text with others than printable ASCII may take as it is written, so that a record stays short.
constexpr std::size_t kLongestEscaped = 500;
constexpr std::size_t kEscape = 6;  // of a control character: \u0000

bool is_plain_octet(char c) { return c >= ' ' && c < '\x7f' && c != '"' && c != '\\'; }

// Eight octets at once: none beyond ASCII, below ' ', or one of three.
bool are_plain(const char* begin) {
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

bool stands_as_it_is(std::string_view text) {
  if (text.size() > kLongestText) return false;
  for (; text.size() >= sizeof(std::uint64_t); text.remove_prefix(sizeof(std::uint64_t))) {
    if (!are_plain(text.data())) return false;
  }
  return std::ranges::all_of(text, is_plain_octet);
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

void append_json_text(std::string& out, std::string_view text) {
  if (!stands_as_it_is(text)) return append_quoted(out, cut_and_escaped(text));
  out += '"';
  out += text;
  out += '"';
}

bool JsonWriter::is_first() const { return out_.back() == '{' || out_.back() == '['; }

void JsonWriter::comma() {
  if (!is_first()) out_ += ',';
}

void JsonWriter::key(std::string_view key) {
  out_ += is_first() ? "\"" : ",\"";
  out_ += key;
  out_ += "\":";
}

void JsonWriter::begin(std::string_view name, char bracket, char end) {
  key(name);
  out_ += bracket;
  ends_ += end;
}

void JsonWriter::open_root(char bracket) {
  out_ += bracket;
  ends_ += bracket == '{' ? '}' : ']';
}

void JsonWriter::open_item() {
  comma();
  open_root('{');
}

void JsonWriter::close() {
  out_ += ends_.back();
  ends_.pop_back();
}

void JsonWriter::text(std::string_view name, std::string_view value) {
  key(name);
  append_json_text(out_, value);
}

void JsonWriter::number(std::string_view name, std::int64_t value) {
  key(name);
  const fmt::format_int digits(value);
  out_.append(digits.data(), digits.size());
}

void JsonWriter::flag(std::string_view name, bool value) {
  key(name);
  out_ += value ? "true" : "false";
}

void JsonWriter::item(std::string_view value) {
  comma();
  append_json_text(out_, value);
}

}  // namespace detail

std::string to_json(const Record& record) {
  constexpr std::size_t kTransaction = 512;
  constexpr std::size_t kRecipient = 512;
  std::string line;
  line.reserve(kTransaction + kRecipient * record.recipients.size());
  detail::JsonWriter fields(line);
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
  line += '\n';
  return line;
}

}  // namespace replygate
