#include <array>
#include <boost/json/array.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/serialize.hpp>

#include "policy/record.h"
#include "policy/record_fields.h"

namespace replygate {

std::string to_json(const Record& record) {
  namespace json = boost::json;
  std::array<unsigned char, 16384> buffer;  // most records fit; longer ones take more from the heap
  json::monotonic_resource arena(buffer.data(), buffer.size());
  json::object fields(&arena);
  fields.reserve(24);
  detail::add_transaction(fields, record);
  json::array& recipients = fields["recipients"].emplace_array();
  recipients.reserve(record.recipients.size());
  for (const JudgedRecipient& judged : record.recipients) {
    json::object& said = recipients.emplace_back(nullptr).emplace_object();
    said.reserve(16);
    said["ref"] = judged.ref;
    detail::add_recipient(said, judged, record.connection);
  }
  return json::serialize(fields) + '\n';
}

}  // namespace replygate
