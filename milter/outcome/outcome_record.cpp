#include "milter/outcome/outcome_record.h"

#include <array>
#include <boost/json.hpp>

#include "milter/cli/explained.h"
#include "milter/log/history.h"
#include "milter/serve/report_status.h"
#include "milter/serve/tail.h"
#include "policy/decide/record_fields.h"

namespace replygate {
namespace {

namespace json = boost::json;

// Without what is not known: a history has many of them.
json::object status_of_outcome(const MailOutcome& o) {
  json::object all = json_of(o.status, o.explained);
  json::object known;
  for (const auto& [key, value] : all) {
    const bool empty = value.is_null() || (value.is_array() && value.get_array().empty());
    if (!empty && key != "recipient") known[key] = value;
  }
  return known;
}

json::object recipient_of_outcome(const MailOutcome& o) {
  json::object recipient{{"recipient", json_text(o.recipient)},
                         {"ref", o.ref},
                         {"outcome", to_string(o.kind)},
                         {"told_by", o.source == MailOutcome::Source::log ? "log" : "report"}};
  if (!o.became.empty()) recipient["became"] = json_text(o.became);
  if (o.corrects) recipient["corrects"] = true;
  recipient["status"] = status_of_outcome(o);
  return recipient;
}

}  // namespace

std::string outcome_line(const MailOutcome& o) {
  const json::object record{{"time", detail::format_time(o.time)},
                            {"event", "outcome"},
                            {"session", o.sending.session},
                            {"ref", o.sending.ref},
                            {"queue_id", json_text(o.sending.queue_id)},
                            {"client_ip", json_text(o.sending.client_ip)},
                            {"user", json_text(o.sending.user)},
                            {"sender", json_text(o.sending.sender)},
                            {"counted", detail::format_time(o.counted)},
                            {"counted_ref", o.counted_ref},
                            {"recipients", json::array{recipient_of_outcome(o)}}};
  return json::serialize(record) + "\n";
}

void OutcomeChronicle::hear(const MailOutcome& o) {
  const std::string line = outcome_line(o);
  if (history_ != nullptr) {
    const std::array<std::string_view, 5> words = {o.sending.ref, o.sending.queue_id, o.recipient, o.ref, o.became};
    history_->keep(o.time, words, line);
  }
  tail_.tell_outcome({o.sending.sender, o.sending.user, o.recipient, o.became}, o.sending.client_ip, line);
}

}  // namespace replygate
