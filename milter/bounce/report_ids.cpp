#include "milter/bounce/report_ids.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "milter/bounce/message.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kMostIds = 50;
constexpr std::size_t kLongestId = 500;
constexpr std::size_t kLongestField = 4000;

bool is_queue_id(std::string_view word) {
  constexpr std::size_t kShortest = 5;
  constexpr std::size_t kLongest = 40;
  return word.size() >= kShortest && word.size() <= kLongest &&
         std::ranges::all_of(word, [](char c) { return is_alpha(c) || is_digit(c) || c == '-'; });
}

void add_id(std::string_view id, std::vector<std::string>& ids) {
  if (id.empty() || id.size() > kLongestId || ids.size() >= kMostIds) return;
  if (std::ranges::find(ids, id) == ids.end()) ids.emplace_back(id);
}

// "… with ESMTPSA id 4jZK7S3Hpsz1fxXq"
void add_received(std::string_view line, std::vector<std::string>& ids) {
  constexpr std::string_view kLead = " id ";
  const std::size_t place = line.find(kLead);
  if (place == std::string_view::npos) return;
  std::string_view rest = line.substr(place + kLead.size());
  rest = rest.substr(0, rest.find_first_of(" ;\t\r"));
  if (is_queue_id(rest)) add_id(rest, ids);
}

bool takes_name(std::string_view& line, std::string_view name) {
  if (line.size() < name.size() || !equal_ignoring_case(line.substr(0, name.size()), name)) return false;
  line = trim(line.substr(name.size()));
  return true;
}

void add_message_id(std::string_view value, std::vector<std::string>& ids) {
  const std::size_t close = value.find('>');
  if (value.starts_with('<') && close != std::string_view::npos) add_id(value.substr(1, close - 1), ids);
}

void take_line(std::string_view line, ReportIds& ids) {
  const std::string_view whole = line;
  if (takes_name(line, "message-id:")) {
    add_message_id(line, ids.message_ids);
  } else if (takes_name(line, "x-postfix-queue-id:") || takes_name(line, "original-envelope-id:")) {
    if (is_queue_id(line)) add_id(line, ids.queue_ids);
  } else {
    add_received(whole, ids.queue_ids);
  }
}

template <typename Take>
void each_field(std::string_view text, Take take) {
  std::string field;  // with the lines that go on with it
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    const bool goes_on = !line.empty() && is_blank(line.front()) && field.size() < kLongestField;
    if (!goes_on) take(std::exchange(field, ""));
    field += goes_on ? fmt::format(" {}", trim(line)) : std::string(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  take(field);
}

void take_lines(std::string_view text, ReportIds& ids) {
  each_field(text, [&](std::string_view field) { take_line(field, ids); });
}

// In the header of a message it would be what a mailing list has made of the id.
void take_original(std::string_view fields, ReportIds& ids) {
  each_field(fields, [&](std::string_view line) {
    if (takes_name(line, "x-original-message-id:")) add_message_id(line, ids.message_ids);
  });
}

}  // namespace

ReportIds ids_in_report(std::string_view text) {
  ReportIds ids;
  take_lines(text, ids);
  const ReadMessage message = read_message(text);
  take_lines(message.decoded, ids);
  for (const MessagePart& part : message.parts) {
    if (part.type.ends_with("delivery-status")) take_original(part.text, ids);
  }
  return ids;
}

}  // namespace replygate
