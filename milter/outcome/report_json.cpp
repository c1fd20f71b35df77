#include "milter/outcome/report_json.h"

#include <boost/json.hpp>

#include "milter/json_members.h"
#include "milter/serve/report_status.h"
#include "policy/mail/unicode.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostSaid = 500;     // octets of a text
constexpr std::size_t kLongestName = 320;  // of an address or a server

json::array list_of(const std::vector<std::string>& texts) {
  json::array list;
  for (const std::string& text : texts) list.push_back(json_text(text));
  return list;
}

std::vector<std::string> texts_in(const json::array& list) {
  std::vector<std::string> texts;
  for (const json::value& text : list) {
    if (text.is_string()) texts.emplace_back(text.as_string());
  }
  return texts;
}

std::optional<Severity> severity_in(std::string_view word) {
  for (const Severity severity : {Severity::success, Severity::transient, Severity::permanent}) {
    if (to_string(severity) == word) return severity;
  }
  return std::nullopt;
}

}  // namespace

RemoteStatus status_in(const json::object& row) {
  RemoteStatus status;
  const auto code = static_cast<int>(number_at(row, "code"));
  if (code >= 200 && code <= 599) status.code = code;
  status.enhanced = EnhancedCode::parse(text_at(row, "enhanced"));
  status.text = text_at(row, "text");
  status.host = text_at(row, "host");
  status.recipient = text_at(row, "recipient");
  status.told = severity_in(text_at(row, "told"));
  status.reported = flag_at(row, "reported");
  return status;
}

json::object to_json(const OutcomeLedger::Report& report) {
  json::array statuses;
  for (const RemoteStatus& status : report.statuses) {
    json::object row{{"recipient", json_text(whole_characters(status.recipient, kLongestName))},
                     {"text", json_text(whole_characters(status.text, kMostSaid))},
                     {"host", json_text(whole_characters(status.host, kLongestName))}};
    if (status.code) row["code"] = *status.code;
    if (status.enhanced) row["enhanced"] = status.enhanced->text();
    if (status.reported) row["reported"] = true;
    if (status.told) row["told"] = to_string(*status.told);
    statuses.push_back(std::move(row));
  }
  return {{"statuses", std::move(statuses)},
          {"queue_ids", list_of(report.queue_ids)},
          {"message_ids", list_of(report.message_ids)}};
}

OutcomeLedger::Report report_in(const json::object& request) {
  OutcomeLedger::Report report;
  for (const json::value& row : array_at(request, "statuses")) {
    if (row.is_object()) report.statuses.push_back(status_in(row.get_object()));
  }
  report.queue_ids = texts_in(array_at(request, "queue_ids"));
  report.message_ids = texts_in(array_at(request, "message_ids"));
  return report;
}

}  // namespace replygate
