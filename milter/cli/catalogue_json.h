#pragma once

#include <boost/json/object.hpp>

#include "policy/catalogue/classes.h"
#include "policy/catalogue/codes.h"
#include "policy/catalogue/enhanced.h"
#include "policy/load/diagnostic.h"

// The rows of the catalogue as JSON. The keys are part of the interface of `codes` and `explain`.
namespace replygate {

boost::json::object json_of(const ReplyCode& code);
boost::json::object json_of(const Classification& classification);
boost::json::object json_of(EnhancedCode code);
boost::json::object json_of(const RgInfo& diagnostic);

// One object and LF.
std::string line_of(const boost::json::value& value);

}  // namespace replygate
