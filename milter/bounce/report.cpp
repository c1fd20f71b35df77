#include "milter/bounce/report.h"

#include <string>
#include <utility>

#include "milter/bounce/input.h"
#include "policy/mail/text.h"
#include "policy/remote/reply_reader.h"

namespace replygate {
namespace {

constexpr std::size_t kMostGroups = kMostAttempts + 1;  // the first is about the message

using Field = std::pair<std::string, std::string>;  // name in lower case, unfolded value
using FieldGroup = std::vector<Field>;

// Groups of fields, apart by empty lines.
std::vector<FieldGroup> groups_of(std::string_view text) {
  std::vector<FieldGroup> groups(1);
  for (const std::string& line : lines_of(text)) {
    const std::string_view trimmed = trim(line);
    if (trimmed.empty()) {
      if (!groups.back().empty() && groups.size() < kMostGroups) groups.emplace_back();
      continue;
    }
    if (is_blank(line.front()) && !groups.back().empty()) {
      (groups.back().back().second += '\n') += trimmed;
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    groups.back().emplace_back(to_lower(trim(line.substr(0, colon))), trim(std::string_view(line).substr(colon + 1)));
  }
  return groups;
}

std::string_view field_value(const FieldGroup& group, std::string_view name) {
  for (const auto& [key, value] : group) {
    if (key == name) return value;
  }
  return "";
}

// "rfc822; a@b" without its type.
std::string_view without_type(std::string_view value) {
  const std::size_t semicolon = value.find(';');
  if (semicolon != std::string_view::npos &&
      value.substr(0, semicolon).find_first_of(" @<") == std::string_view::npos) {
    value.remove_prefix(semicolon + 1);
  }
  return trim(value);
}

// "<a@b>" and utf-8-addr-xtext's "\x{E9}" (RFC 6533 §3).
std::string address_in(std::string_view value) {
  value = without_type(value);
  if (value.size() > 2 && value.front() == '<' && value.back() == '>') value = value.substr(1, value.size() - 2);
  return std::string(value);
}

std::optional<Severity> severity_of_action(std::string_view action) {
  const std::string word = to_lower(action.substr(0, action.find_first_of(" (;")));
  if (word == "failed") return Severity::permanent;
  if (word == "delayed") return Severity::transient;
  if (word == "delivered" || word == "relayed" || word == "expanded") return Severity::success;
  return std::nullopt;
}

RemoteStatus status_of_group(const FieldGroup& group) {
  const std::string_view diagnostic = without_type(field_value(group, "diagnostic-code"));
  RemoteStatus status = read_status(diagnostic, Lines::prose);
  const std::string_view word = trim(field_value(group, "status"));
  const auto enhanced = EnhancedCode::parse(word.substr(0, word.find_first_of(" (")));
  if (!status.enhanced) status.enhanced = enhanced;
  status.told = severity_of_action(field_value(group, "action"));
  std::string_view recipient = field_value(group, "final-recipient");
  if (recipient.empty()) recipient = field_value(group, "original-recipient");
  status.recipient = address_in(recipient);
  const std::string_view host = without_type(field_value(group, "remote-mta"));
  if (!host.empty()) status.host = host.substr(0, host.find_first_of(" (["));
  return status;
}

RemoteStatus feedback_status(const std::string& type, Severity severity, std::string recipient) {
  RemoteStatus status;
  status.text = "Feedback-Type: " + type;
  status.told = severity;
  status.recipient = std::move(recipient);
  status.reported = true;
  return status;
}

// What failed was a check, and not the delivery, unless the report says so (RFC 6591 §3.2.2).
Severity severity_of_feedback(const FieldGroup& group, std::string_view type) {
  if (type == "virus") return Severity::success;
  if (type != "auth-failure") return Severity::permanent;
  const std::string result = to_lower(field_value(group, "delivery-result"));
  return result == "reject" || result == "policy" ? Severity::permanent : Severity::success;
}

// One for each recipient that it names; one of nobody where it names none.
std::vector<RemoteStatus> statuses_of_feedback(const FieldGroup& group, const std::string& type) {
  const Severity severity = severity_of_feedback(group, type);
  std::vector<RemoteStatus> statuses;
  for (const auto& [key, value] : group) {
    if (key != "original-rcpt-to" || statuses.size() >= kMostAttempts) continue;
    statuses.push_back(feedback_status(type, severity, address_in(value)));
  }
  if (statuses.empty()) statuses.push_back(feedback_status(type, severity, ""));
  return statuses;
}

}  // namespace

std::vector<RemoteStatus> read_delivery_report(std::string_view text) {
  std::vector<RemoteStatus> statuses;
  for (const FieldGroup& group : groups_of(text)) {
    const bool names_recipient =
        !field_value(group, "final-recipient").empty() || !field_value(group, "original-recipient").empty();
    if (names_recipient || !field_value(group, "diagnostic-code").empty()) statuses.push_back(status_of_group(group));
  }
  return statuses;
}

RemoteStatus complaint_of(std::string_view recipient) {
  return feedback_status("abuse", Severity::permanent, address_in(recipient));
}

std::vector<RemoteStatus> read_feedback_report(std::string_view text) {
  for (const FieldGroup& group : groups_of(text)) {
    const std::string type = to_lower(field_value(group, "feedback-type"));
    if (type.empty() || type == "not-spam") continue;
    return statuses_of_feedback(group, type);
  }
  return {};
}

bool looks_like_delivery_report(std::string_view text) {
  const std::string begin = to_lower(text.substr(0, 64 << 10));
  return begin.find("final-recipient:") != std::string::npos &&
         (begin.find("\nstatus:") != std::string::npos || begin.find("\naction:") != std::string::npos ||
          begin.find("diagnostic-code:") != std::string::npos);
}

}  // namespace replygate
