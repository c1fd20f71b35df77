#pragma once

#include <boost/json/object.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "policy/remote/status_book.h"

namespace replygate {

// One answer of `explain` for people, on stdout.
void print(const RemoteStatus& status, const Explained& explained, std::optional<Command> at);

// One answer as JSON. The keys are part of the interface of `explain`; what is not known is null.
boost::json::object json_of(const RemoteStatus& status, const Explained& explained);

// The same in one line with LF, appended without a tree of it: for thousands.
void append_json_line(std::string& out, const RemoteStatus& status, const Explained& explained);

// Advice with what `why` is to be asked for in the place of REF: the queue id, or the recipient of what got none.
std::string advice_line(std::string_view advice, const RemoteStatus& status);

// What the catalogue says of its codes, added.
void add_catalogue(boost::json::object& fields, const RemoteStatus& status);

}  // namespace replygate
