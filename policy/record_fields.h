#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "policy/record.h"

// The content of a record as a tree, from which both written forms are made. Keys are those of conf/LOG.md.
namespace replygate::detail {

// `text` as valid UTF-8: octets that are not are written \xNN; at most 1000 octets are kept.
std::string safe_text(std::string_view text);

std::string format_time(Instant time);  // RFC 3339 in UTC with milliseconds

// What was said of a recipient or of the message: action, reply, classification, rule, limits, observed …
boost::json::object verdict_fields(const Verdict& verdict, const Connection& connection);

boost::json::object recipient_fields(const JudgedRecipient& judged, const Connection& connection);

// The keys of the transaction itself, without recipients and verdicts.
boost::json::object transaction_fields(const Record& record);

// The verdict on the message that counts: the refusal, else the last with something to say, else null.
const Verdict* message_verdict(const Record& record);

}  // namespace replygate::detail
