#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace replygate {

// The versions of TLS as MTAs spell them, oldest first. Constant; any thread.
std::span<const std::string_view> tls_versions();

// The versions that a pattern allows, in lower case: "TLSv1.3", "< TLSv1.2", ">= TLSv1.2", "!= SSLv3",
// "TLSv1..TLSv1.1";
// "" alone is a session without TLS, which no comparison allows. Nothing where the pattern is none of these or names a
// version that no MTA does.
std::optional<std::vector<std::string>> versions_allowed(std::string_view pattern);

// What to write instead of a name, or of a comparison with one, that no MTA gives: the name that is meant, or all
// names.
std::string version_help(std::string_view pattern);

}  // namespace replygate
