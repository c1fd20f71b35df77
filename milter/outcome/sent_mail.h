#pragma once

#include <optional>
#include <vector>

#include "milter/outcome/outcome.h"
#include "milter/outcome/outcome_file.h"
#include "policy/decide/record.h"

namespace replygate {

// What is to be remembered of a message until its outcomes are known.
struct SentMail {
  Sending sending;
  std::vector<OutcomeFile::SentRecipient> recipients;
};

// Of a record; nothing where the MTA has not taken the message over, or has told no id.
std::optional<SentMail> sent_mail(const Record& record);

}  // namespace replygate
