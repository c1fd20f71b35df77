#include "milter/serve/note_user.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "policy/mail/text.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

constexpr std::string_view kUser = "{user}";
constexpr std::size_t kLongestSubject = 200;

constexpr std::string_view kWarningSubject = "You are near your sending limit";
constexpr std::string_view kWarningText =
    "You may send {limit}. So far you have sent {used}.\n\n"
    "Nothing has been refused yet. Once the limit is reached, further messages are refused\n"
    "until there is room again.\n\n"
    "If you have not sent this mail yourself, change your password now and tell your\npostmaster.\n";
constexpr std::string_view kRefusalSubject = "Your mail is being refused: you have reached your sending limit";
constexpr std::string_view kRefusalText =
    "You may send {limit}, and you have reached that limit. A message of yours was\n"
    "refused. Try again in {retry_after}.\n\n"
    "If you have not sent this mail yourself, change your password now and tell your\npostmaster.\n";

ReplyTemplate built_in(std::string_view text) {
  return std::get<ReplyTemplate>(ReplyTemplate::parse(text, TextFor::mail));
}

std::string filled(const std::optional<ReplyTemplate>& own, std::string_view standard, const Record& record,
                   const LimitUse& use, const Recipient* recipient) {
  const Facts facts{record.connection, &record.transaction, recipient, record.time, &record.policy->site().zone};
  const auto lines = fill(own ? *own : built_in(standard), use, facts, {.now = record.time, .ref = record.ref});
  std::vector<std::string> clean;
  for (const std::string& line : lines) clean.push_back(without_controls(line));
  return fmt::format("{}", fmt::join(clean, "\n"));
}

std::string one_line(const std::string& text) { return std::string(whole_characters(text, kLongestSubject)); }

}  // namespace

std::vector<std::string> user_addresses(const std::vector<std::string>& patterns, const std::string& login) {
  std::vector<std::string> result;
  if (login.empty()) return result;
  for (const std::string& pattern : patterns) {
    const std::string address = login + pattern.substr(kUser.size());
    if (is_canonical_address(address)) result.push_back(address);
  }
  return result;
}

Note user_note_of_warning(const UserText& own, const Record& record, const LimitUse& use, const Recipient* recipient) {
  LimitUse now = use;
  now.used += now.cost;
  return {.event = {},
          .subject = one_line(filled(own.subject, kWarningSubject, record, now, recipient)),
          .text = filled(own.text, kWarningText, record, now, recipient)};
}

Note user_note_of_refusal(const UserText& own, const Record& record, const LimitUse& full, const Recipient* recipient) {
  return {.event = {},
          .subject = one_line(filled(own.subject, kRefusalSubject, record, full, recipient)),
          .text = filled(own.text, kRefusalText, record, full, recipient)};
}

}  // namespace replygate
