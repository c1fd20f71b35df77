#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <string_view>

#include "milter/serve/desk.h"

namespace replygate {

// The state of the daemon, and of its rules in the order of the policy; keys as conf/LOG.md lists them.
boost::json::object report_status(const Desk& desk);
boost::json::array report_rules(const Desk& desk);

// Whether new mail reaches us and is judged, by the policy that was last found good, with its counters; else why not,
// for people.
std::string why_not_ready(const Desk& desk);
// Whatever an admin has to mend, for people; the gravest of it. "" where there is nothing.
std::string trouble_of(const Desk& desk);

// Any octets as JSON's text: what is no UTF-8 is escaped.
boost::json::string json_text(std::string_view octets);

}  // namespace replygate
