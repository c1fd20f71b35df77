#include <fmt/format.h>

#include "milter/host/policy_needs.h"
#include "milter/host/postfix_case.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

// Postfix's own; a client that has more recipients refused in one go is hung up on.
constexpr std::int64_t kStandardErrors = 20;

void recipient_limit(PostfixCase& c) {
  const std::int64_t needed = most_recipients(c.policy);
  const std::int64_t limit = postfix_number(c.at("smtpd_recipient_limit"), 1000);
  if (needed == 0 || limit > needed) return;
  c.add(Level::warning,
        fmt::format("smtpd_recipient_limit = {} refuses recipients before the policy, whose limit is {}, can", limit,
                    needed),
        c.set("smtpd_recipient_limit", std::to_string(needed + 100)));
}

void error_limit(PostfixCase& c) {
  const std::int64_t limit = postfix_number(c.at("smtpd_hard_error_limit"), kStandardErrors);
  if (!refuses_recipients(c.policy) || limit >= kStandardErrors) return;
  c.add(Level::warning,
        fmt::format("smtpd_hard_error_limit = {}: Postfix hangs up on a client that has {} recipients refused", limit,
                    limit),
        c.set("smtpd_hard_error_limit", std::to_string(kStandardErrors)));
}

void rewriting(PostfixCase& c) {
  if (c.at("soft_bounce") == "yes") {
    c.add(Level::warning, "soft_bounce = yes: each 5xx of the policy becomes a 4xx", c.set("soft_bounce", "no"));
  }
  if (!c.at("smtpd_reject_filter_maps").empty()) {
    c.add(
        Level::warning,
        fmt::format("smtpd_reject_filter_maps = {} may change the policy's replies", c.at("smtpd_reject_filter_maps")),
        c.set("smtpd_reject_filter_maps", ""));
  }
}

}  // namespace

void check_postfix_replies(PostfixCase& c) {
  recipient_limit(c);
  error_limit(c);
  rewriting(c);
}

}  // namespace replygate
