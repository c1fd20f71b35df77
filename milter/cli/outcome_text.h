#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace replygate {

// An outcome of a record for people, in a line: "bounced (user_unknown) by mx.example: 550 5.1.1 no such user".
std::string outcome_text(const boost::json::object& outcome);

}  // namespace replygate
