#include "milter/outcome/sent_mail.h"

#include <algorithm>

#include "policy/decide/outcomes.h"

namespace replygate {
namespace {

// "<id@host>" as a header field has it.
std::string message_id_of(const Transaction& transaction) {
  const auto field = std::ranges::find(transaction.headers, "message-id", &Header::name);
  if (field == transaction.headers.end()) return "";
  const std::size_t open = field->value.find('<');
  const std::size_t close = field->value.find('>', open == std::string::npos ? 0 : open);
  if (open == std::string::npos || close == std::string::npos) return "";
  return field->value.substr(open + 1, close - open - 1);
}

}  // namespace

std::optional<SentMail> sent_mail(const Record& record) {
  const Transaction& t = record.transaction;
  if (record.ending != Ending::accepted || record.disposition.discard || t.queue_id.empty()) return std::nullopt;
  SentMail mail;
  mail.sending = {.time = record.time,
                  .queue_id = t.queue_id,
                  .session = record.session,
                  .ref = record.ref,
                  .sender = t.sender.full,
                  .user = t.user,
                  .client_ip = record.connection.ip_text,
                  .message_id = message_id_of(t)};
  for (const JudgedRecipient& judged : record.recipients) {
    if (!was_let_through(record, judged)) continue;
    mail.recipients.push_back({.address = judged.recipient.address.full,
                               .ref = judged.ref,
                               .local = is_ours(record, judged.recipient),
                               .keys = outcome_keys_of(record, judged)});
  }
  return mail;
}

}  // namespace replygate
