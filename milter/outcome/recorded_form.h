#pragma once

#include <string>
#include <string_view>

#include "policy/mail/address.h"
#include "policy/mail/text.h"

namespace replygate {

// An address of a log or a report as our record has it; what is no address stays as it is, in lower case.
inline std::string recorded_form(std::string_view address) {
  std::string lowered = to_lower(address);
  if (is_canonical_address(lowered)) return lowered;
  Address made = canonical_address(address, {.default_domain = "", .is_local = [](std::string_view) { return false; }});
  return made.full.empty() ? lowered : std::move(made.full);
}

}  // namespace replygate
