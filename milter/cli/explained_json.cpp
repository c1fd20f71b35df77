#include <boost/json/array.hpp>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/explained.h"
#include "milter/serve/report_status.h"

namespace replygate {
namespace {

namespace json = boost::json;

// What strangers wrote may be no UTF-8; JSON is.
json::value text_or_null(std::string_view text) {
  return text.empty() ? json::value(nullptr) : json::value(json_text(text));
}

template <typename T>
json::value value_or_null(const std::optional<T>& value) {
  return value ? json::value(*value) : json::value(nullptr);
}

Bounce bounce_for(std::optional<Severity> severity) {
  if (severity == Severity::permanent) return Bounce::hard;
  return severity == Severity::transient ? Bounce::soft : Bounce::none;
}

}  // namespace

json::object json_of(const RemoteStatus& status, const Explained& explained) {
  const bool found = explained.confidence != Confidence::none;
  json::array advice;
  for (const std::string_view line : explained.advice) advice.emplace_back(advice_line(line, status));
  return {{"recipient", text_or_null(status.recipient)},
          {"host", text_or_null(status.host)},
          {"code", value_or_null(status.code)},
          {"enhanced", status.enhanced ? json::value(status.enhanced->text()) : json::value(nullptr)},
          {"text", text_or_null(status.text)},
          {"severity", explained.severity ? json::value(to_string(*explained.severity)) : json::value(nullptr)},
          {"bounce", to_string(bounce_for(explained.severity))},
          {"retry", value_or_null(explained.retry)},
          {"retry_after_s", value_or_null(explained.retry_after_s)},
          {"dead", value_or_null(explained.dead)},
          {"fault", to_string(explained.fault)},
          {"reason", found ? json::value(info_of(explained.reason).slug) : json::value(nullptr)},
          {"confidence", to_string(explained.confidence)},
          {"matched", text_or_null(explained.matched)},
          {"provider", text_or_null(explained.provider)},
          {"classification", text_or_null(found ? info_of(explained.reason).classification : "")},
          {"source", text_or_null(explained.source)},
          {"do", std::move(advice)}};
}

void add_catalogue(json::object& fields, const RemoteStatus& status) {
  fields["contradiction"] = status.code && status.enhanced && status.enhanced->severity != *status.code / 100;
  const ReplyCode* code = status.code ? find_reply_code(*status.code) : nullptr;
  if (code != nullptr) fields["code_explained"] = json_of(*code);
  if (status.enhanced) fields["enhanced_explained"] = json_of(*status.enhanced);
}

}  // namespace replygate
