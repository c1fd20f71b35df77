#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "policy/record.h"
#include "policy/record_fields.h"

namespace replygate {

std::string to_json(const Record& record) {
  boost::json::object fields = detail::transaction_fields(record);
  if (const Verdict* verdict = detail::message_verdict(record)) {
    fields["message"] = detail::verdict_fields(*verdict, record.connection);
  }
  boost::json::array recipients;
  for (const JudgedRecipient& judged : record.recipients) {
    recipients.push_back(detail::recipient_fields(judged, record.connection));
  }
  fields["recipients"] = std::move(recipients);
  return boost::json::serialize(fields) + '\n';
}

}  // namespace replygate
