#pragma once

#include <string>
#include <string_view>

#include "milter/serve/note_carrier.h"
#include "policy/decide/record.h"

namespace replygate {

// What notes say: which host, when, which limit, what was answered, and which command comes next. Pure but for the
// name of the host and its time zone.
Note note_of_warning(const Record& record, const LimitUse& use);
Note note_of_first_refusal(const Record& record, const LimitUse& full, const Reply& reply);

// `rule` has put the message into the MTA's hold queue.
Note note_of_held(const Record& record, const Rule& rule);

Note note_of_store(std::string subject, std::string_view what);

// As a word of a shell: what strangers wrote must not become a command where it is pasted.
std::string shell_word(std::string_view key);

// One line of printable ASCII.
std::string plain_line(std::string_view text);

}  // namespace replygate
