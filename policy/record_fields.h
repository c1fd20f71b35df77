#pragma once

#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "policy/record.h"

// The content of a record as a tree, from which both written forms are made. Keys are those of conf/LOG.md. Each
// function adds to an object, in the storage of that object.
namespace replygate::detail {

using boost::json::object;

// `text` as valid UTF-8: octets that are not are written \xNN; at most 1000 octets are kept.
std::string safe_text(std::string_view text);

std::string format_time(Instant time);  // RFC 3339 in UTC with milliseconds

// What was said of a recipient or of the message: action, reply, classification, rule, limits, observed …
void add_verdict(object& fields, const Verdict& verdict, const Connection& connection);

// A recipient with its verdict, without its reference.
void add_recipient(object& fields, const JudgedRecipient& judged, const Connection& connection);

// The transaction itself, with what was said of the message and without recipients.
void add_transaction(object& fields, const Record& record);

}  // namespace replygate::detail
