#include "milter/bounce/input.h"

#include <algorithm>
#include <array>
#include <span>

#include "milter/bounce/free_form.h"
#include "milter/bounce/message.h"
#include "milter/bounce/quoted.h"
#include "milter/bounce/report.h"
#include "policy/mail/text.h"
#include "policy/remote/log_line.h"
#include "policy/remote/reply_reader.h"

namespace replygate {
namespace {

void append_all(std::vector<RemoteStatus>& all, std::vector<RemoteStatus> more) {
  std::ranges::move(more, std::back_inserter(all));
}

bool has_any_of(std::string_view lower, std::span<const std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view w) { return lower.find(w) != std::string_view::npos; });
}

// What stands in the text of a bounce, and hardly elsewhere, in lower case.
constexpr std::array<std::string_view, 10> kBounceWords{"mail delivery system",
                                                        "mailer-daemon",
                                                        "could not be delivered",
                                                        "couldn\x27t be delivered",
                                                        "wasn\x27t delivered",
                                                        "this is the mail system",
                                                        "undeliver",
                                                        "delivery status notification",
                                                        "delivery has failed",
                                                        "delivery to the following"};

// Who writes bounces, and how their subjects read, in lower case.
bool seems_a_bounce(const ReadMessage& message) {
  constexpr std::array<std::string_view, 3> kSenders{"mailer-daemon", "postmaster", "mail delivery"};
  constexpr std::array<std::string_view, 18> kSubjects{"undeliver",
                                                       "delivery status",
                                                       "failure notice",
                                                       "delivery failure",
                                                       "delivery failed",
                                                       "mail delivery",
                                                       "returned mail",
                                                       "not delivered",
                                                       "delivery notification",
                                                       "delivery has failed",
                                                       "could not be delivered",
                                                       "delayed",
                                                       "rejected",
                                                       "warning: could not send",
                                                       "unzustellbar",
                                                       "non remis",
                                                       "non recapitabile",
                                                       "unable to deliver"};
  if (!message.failed_recipients.empty()) return true;
  const std::string from = to_lower(message.from);
  const std::string subject = to_lower(message.subject);
  const auto in = [](const std::string& text) {
    return [&text](std::string_view w) { return text.find(w) != std::string::npos; };
  };
  const bool by_daemon = std::ranges::any_of(kSenders, in(from));
  const bool says_so = std::ranges::any_of(kSubjects, in(subject));
  if ((message.replied_by_itself || message.from_list) && !by_daemon) return false;
  return (by_daemon && !message.replied_by_itself) || says_so || (message.from_nobody && by_daemon);
}

// A report's text for people has more where Diagnostic-Code is missing.
void fill_from_text(std::vector<RemoteStatus>& statuses, std::string_view text) {
  const auto silent = [](const RemoteStatus& s) { return s.text.empty() && !s.code; };
  if (std::ranges::none_of(statuses, silent)) return;
  const std::vector<RemoteStatus> told = read_free_form(text);
  for (RemoteStatus& status : statuses) {
    if (!silent(status)) continue;
    const auto it = std::ranges::find(told, status.recipient, &RemoteStatus::recipient);
    const bool alone = told.size() == 1 && statuses.size() == 1;
    if (it == told.end() && !alone) continue;
    const RemoteStatus& found = it == told.end() ? told.front() : *it;
    status.code = found.code;
    if (found.enhanced) status.enhanced = found.enhanced;
    status.text = found.text;
    if (status.host.empty()) status.host = found.host;
    status.at = found.at;
  }
}

std::string_view text_part(const ReadMessage& message) {
  for (const std::string_view type : {"text/plain", "text/html"}) {
    const auto it = std::ranges::find(message.parts, type, &MessagePart::type);
    if (it != message.parts.end() && !trim(it->text).empty()) return it->text;
  }
  return "";
}

std::vector<RemoteStatus> read_bounce(const ReadMessage& message) {
  std::vector<RemoteStatus> statuses;
  for (const MessagePart& part : message.parts) {
    if (part.type == "message/feedback-report") append_all(statuses, read_feedback_report(part.text));
    if (part.type == "message/delivery-status" || part.type == "message/global-delivery-status") {
      append_all(statuses, read_delivery_report(part.text));
    }
  }
  const std::string_view text = text_part(message);
  if (!statuses.empty()) {
    fill_from_text(statuses, text);
    return statuses;
  }
  if (!message.complainer.empty()) return {complaint_of(message.complainer)};  // Hotmail's, without a part for programs
  if (!seems_a_bounce(message)) return {};
  statuses = read_free_form(text);
  if (statuses.size() == 1 && statuses.front().recipient.empty()) {
    statuses.front().recipient = trim(message.failed_recipients.substr(0, message.failed_recipients.find(',')));
  }
  return statuses;
}

// Lines of a log, where the first one is a line of one.
std::vector<RemoteStatus> read_log(std::string_view text) {
  std::vector<RemoteStatus> statuses;
  for (const std::string& line : lines_of(text)) {
    LogStatus read = read_log_line(line);
    if (read.kind == LogLine::attempt) statuses.push_back(std::move(read.status));
  }
  return statuses;
}

bool tell_a_reply(const std::vector<RemoteStatus>& statuses) {
  return std::ranges::any_of(statuses, [](const RemoteStatus& s) { return s.code || s.enhanced; });
}

// A bounce that somebody quotes in a mail of his own.
std::vector<RemoteStatus> read_handed_on(std::string_view text) {
  const std::string quoted = quoted_in(text);
  if (quoted.empty()) return {};
  std::vector<RemoteStatus> statuses;
  if (looks_like_message(quoted)) {
    statuses = read_bounce(read_message(quoted));
  } else if (const std::string lower = to_lower(quoted); has_any_of(lower, kBounceWords)) {
    statuses = read_free_form(quoted);
  }
  return tell_a_reply(statuses) ? statuses : std::vector<RemoteStatus>();
}

}  // namespace

std::vector<RemoteStatus> read_line(std::string_view line) {
  line = without_quote_signs(line);
  LogStatus read = read_log_line(line);
  if (read.kind == LogLine::attempt) return {std::move(read.status)};
  if (read.kind == LogLine::other) return {};
  return {read_status(line)};
}

std::vector<RemoteStatus> read_attempts(std::string_view text) {
  if (looks_like_message(text)) {
    const ReadMessage message = read_message(text);
    auto statuses = read_bounce(message);
    return statuses.empty() ? read_handed_on(text_part(message)) : statuses;
  }
  // Without quote signs in it, so that it ends.
  if (const std::string quoted = quoted_in(text); !quoted.empty()) {
    if (auto statuses = read_attempts(quoted); tell_a_reply(statuses)) return statuses;
  }
  const std::string_view first = trim(text).substr(0, trim(text).find('\n'));
  if (read_log_line(first).kind != LogLine::none) return read_log(trim(text));
  if (looks_like_delivery_report(text)) {
    if (auto statuses = read_delivery_report(text); !statuses.empty()) return statuses;
  }
  return {read_status(text)};
}

}  // namespace replygate
