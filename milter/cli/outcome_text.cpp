#include "milter/cli/outcome_text.h"

#include <fmt/format.h>

#include "milter/json_members.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace json = boost::json;

std::string kind_in_words(const std::string& kind) {
  if (kind == "hard_bounce") return "bounced, the address is dead";
  if (kind == "blocked") return "bounced, they refuse us";
  if (kind == "failed") return "bounced";
  return kind == "complaint" ? "reported as spam" : kind;
}

std::string reply_of(const json::object& status) {
  const double code = number_at(status, "code");
  std::string text = code == 0 ? "" : fmt::format("{:.0f}", code);
  for (const std::string& part : {text_at(status, "enhanced"), without_controls(text_at(status, "text"))}) {
    if (!part.empty()) text += (text.empty() ? "" : " ") + part;
  }
  return text;
}

}  // namespace

std::string outcome_text(const json::object& outcome) {
  const json::object& status = object_at(outcome, "status");
  const bool fine = text_at(outcome, "outcome") == "delivered";
  const std::string became = text_at(outcome, "became");
  const std::string host = text_at(status, "host");
  const std::string reason = fine ? "" : text_at(status, "reason");
  const std::string reply = reply_of(status);
  return fmt::format("{}{}{}{}{}{}", kind_in_words(text_at(outcome, "outcome")),
                     flag_at(outcome, "corrects") ? " after all" : "", reason.empty() ? "" : " (" + reason + ")",
                     became.empty() ? "" : " as " + without_controls(became),
                     host.empty() ? "" : " by " + without_controls(host), reply.empty() ? "" : ": " + reply);
}

}  // namespace replygate
