#pragma once

#include <string>

#include "milter/host/postfix_site.h"

namespace replygate {

// A policy to begin with, as text: the site, limits in observe mode, and tests of them. `notify`: whom to tell; "" for
// nobody.
std::string first_policy(const SiteDraft& site, const std::string& notify);

}  // namespace replygate
