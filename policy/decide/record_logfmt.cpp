#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "policy/decide/record.h"
#include "policy/decide/record_fields.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

bool needs_quotes(std::string_view text) {
  return text.empty() || std::ranges::any_of(text, [](char c) {
           return is_control(c) || !is_ascii(c) || c == ' ' || c == '"' || c == '=' || c == '\\';
         });
}

// key=value by blanks; "reply.code" for nested objects; a list is its JSON in one quoted value.
class LogfmtWriter final : public detail::FieldWriter {
 public:
  explicit LogfmtWriter(std::string& line) : line_(line) {}

  void text(std::string_view key, std::string_view value) override {
    if (list_depth_ > 0) return list_.text(key, value);
    begin(key);
    if (needs_quotes(value) || value.size() > detail::kLongestText) {
      detail::append_json_text(line_, value);
    } else {
      line_ += value;
    }
  }
  void number(std::string_view key, std::int64_t value) override {
    if (list_depth_ > 0) return list_.number(key, value);
    begin(key);
    line_ += std::to_string(value);
  }
  void flag(std::string_view key, bool value) override {
    if (list_depth_ > 0) return list_.flag(key, value);
    begin(key);
    line_ += value ? "true" : "false";
  }
  void open(std::string_view key) override {
    if (list_depth_ > 0) {
      ++list_depth_;
      return list_.open(key);
    }
    prefixes_.push_back(fmt::format("{}{}.", prefix(), key));
  }
  void open_list(std::string_view key) override {
    if (list_depth_++ > 0) return list_.open_list(key);
    list_key_ = key;
    list_.clear();
    list_.open_root('[');
  }
  void open_item() override {
    ++list_depth_;
    list_.open_item();
  }
  void item(std::string_view value) override { list_.item(value); }
  void close() override {
    if (list_depth_ == 0) return prefixes_.pop_back();
    list_.close();
    if (--list_depth_ > 0) return;
    begin(list_key_);
    detail::append_quoted(line_, list_.written());
  }

 private:
  std::string_view prefix() const { return prefixes_.empty() ? std::string_view() : prefixes_.back(); }
  void begin(std::string_view key) {
    if (!line_.empty()) line_ += ' ';
    line_ += prefix();
    line_ += key;
    line_ += '=';
  }

  std::string& line_;
  std::vector<std::string> prefixes_;  // of the objects that are open
  std::string list_key_;
  detail::JsonWriter list_;
  int list_depth_ = 0;  // objects and lists that are open from the outermost list on
};

}  // namespace

std::string to_logfmt(const Record& record) {
  std::string lines;
  const auto add_line = [&](const JudgedRecipient* judged) {
    std::string line;
    LogfmtWriter fields(line);
    detail::write_transaction(fields, record, judged == nullptr ? record.ref : judged->ref);
    if (judged != nullptr) detail::write_recipient(fields, *judged, record);
    lines += line;
    lines += '\n';
  };
  if (record.recipients.empty()) add_line(nullptr);
  for (const JudgedRecipient& judged : record.recipients) add_line(&judged);
  return lines;
}

}  // namespace replygate
