#pragma once

#include <string_view>
#include <vector>

#include "policy/remote/status.h"

namespace replygate {

// A bounce that only people were meant to read: qmail, Exim, Sendmail, Postfix, Exchange, Gmail, Yahoo, Zoho and their
// like. A status for each recipient whose address begins a paragraph, else one for all; empty where the text has no
// reply. Pure; any thread; time linear in the text.
std::vector<RemoteStatus> read_free_form(std::string_view text);

// The text up to the message that came back.
std::string_view without_returned_message(std::string_view text);

}  // namespace replygate
