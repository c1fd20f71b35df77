#pragma once

#include <string>
#include <string_view>

#include "policy/load/context.h"
#include "policy/rules/live_source.h"

namespace replygate {

// Whether the value names a source that is asked by key: "socketmap:inet:host:port:name", "mysql:/path",
// "pgsql:/path", "ldap:/path", or a table { mysql = "/path", cache = "5m" }.
bool names_live_source(const Node& node);
// Reports a key that is for such sources alone.
void report_without_live(Context& context, const Node& table, std::string_view key);

// That source; null, with a diagnostic, where something is wrong with it or its description. `name`: of the list or
// map that it is; "" where it has none. `shown` is what a table is called in diagnostics.
LiveSourcePtr parse_live_source(Context& context, const Node& node, std::string_view shown, std::string name);

}  // namespace replygate
