#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policy/decide/record.h"

// The content of a record, handed field by field to whatever writes it. Keys are those of conf/LOG.md.
namespace replygate::detail {

// Takes fields in their order. Texts are whatever octets they are.
class FieldWriter {
 public:
  FieldWriter() = default;
  FieldWriter(const FieldWriter&) = delete;
  FieldWriter& operator=(const FieldWriter&) = delete;
  virtual ~FieldWriter() = default;

  virtual void text(std::string_view key, std::string_view value) = 0;
  virtual void number(std::string_view key, std::int64_t value) = 0;
  virtual void flag(std::string_view key, bool value) = 0;
  virtual void open(std::string_view key) = 0;       // an object within
  virtual void open_list(std::string_view key) = 0;  // of texts, or of objects that open_item() begins
  virtual void open_item() = 0;
  virtual void item(std::string_view value) = 0;
  virtual void close() = 0;  // the object or list opened last
};

// As JSON without white space.
class JsonWriter final : public FieldWriter {
 public:
  void text(std::string_view key, std::string_view value) override;
  void number(std::string_view key, std::int64_t value) override;
  void flag(std::string_view key, bool value) override;
  void open(std::string_view key) override { begin(key, '{', '}'); }
  void open_list(std::string_view key) override { begin(key, '[', ']'); }
  void open_item() override;
  void item(std::string_view value) override;
  void close() override;

  void open_root(char bracket);  // '{' or '['
  void end_line();               // LF, behind a root that is closed

  std::string_view written() const { return std::string_view(out_).substr(0, size_); }
  void clear() { size_ = 0; }

 private:
  char* room(std::size_t octets);
  void end_at(const char* end) { size_ = static_cast<std::size_t>(end - out_.data()); }
  void put(char c);
  char* comma(char* at);
  char* key(char* at, std::string_view key);
  void begin(std::string_view key, char bracket, char end);
  template <typename Lead>
  void write_text(std::size_t lead_octets, std::string_view text, const Lead& lead);

  std::string out_;  // what is written, and room for more
  std::size_t size_ = 0;
  std::string ends_;   // brackets that are open
  bool first_ = true;  // of the object or list that is open
};

// Octets of a printable text that are kept.
constexpr std::size_t kLongestText = 1000;

// Whether a text is short and plain enough to stand in a JSON string as it is.
bool stands_as_it_is(std::string_view text);

// `text` as it stands in a JSON string, before JSON escapes it: octets that are no UTF-8 are written \xNN; of a long
// one the beginning is kept.
std::string safe_text(std::string_view text);

// `text` as a JSON string: octets that are no UTF-8 are written \xNN; of a long one the beginning is kept.
void append_json_text(std::string& out, std::string_view text);

// A whole text, however long, as a JSON string. It is UTF-8.
void append_quoted(std::string& out, std::string_view text);

std::string format_time(Instant time);  // RFC 3339 in UTC with milliseconds

// A recipient with its verdict, without its reference.
void write_recipient(FieldWriter& fields, const JudgedRecipient& judged, const Record& record);

// The transaction itself under the reference `ref`, with what was said of the message and without recipients.
void write_transaction(FieldWriter& fields, const Record& record, std::string_view ref);

}  // namespace replygate::detail
