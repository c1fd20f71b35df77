#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/load/subject.h"

namespace replygate {

// A glob in the form in which facts of the subject are compared: lower case, NFC, IDNs as A-labels. Nothing where no
// value can match it; then `why` says so, for people, and `help` what to write. Pure; any thread.
std::optional<std::string> canonical_glob(std::string_view glob, const Subject& subject, std::string& why,
                                          std::string& help);

}  // namespace replygate
