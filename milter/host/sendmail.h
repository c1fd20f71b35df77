#pragma once

#include <optional>
#include <string>

#include "milter/host/symptom.h"
#include "policy/rules/policy.h"

namespace replygate {

// The m4 source of the Sendmail on this host, and what was made of it.
struct SendmailSettings {
  std::string file;  // …/sendmail.mc
  std::string text;
  std::string cf = "";  // sendmail.cf; "" where it cannot be read
};
// Nothing where there is none. `folder`: of sendmail.mc; "": the standard one.
std::optional<SendmailSettings> read_sendmail(const std::string& folder);

// What keeps Sendmail from asking us, or from doing as the policy says.
Symptoms check_sendmail(const SendmailSettings& settings, const Policy& policy);

// The text with what the policy needs; the same where nothing is missing.
std::string sendmail_with_replygate(const SendmailSettings& settings, const Policy& policy);
// The text without our filter.
std::string sendmail_without_replygate(const SendmailSettings& settings, const Policy& policy);

}  // namespace replygate
