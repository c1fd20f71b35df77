#pragma once

#include <string_view>

// Words of other programs, and of everyday speech, for what a policy says in words of its own. "" for what is no such
// word.
namespace replygate {

// The fact that Postfix, Sendmail, rspamd, Exim or postfwd call so: "sasl_username" -> "user".
std::string_view fact_called(std::string_view name);

// What to write for what no fact has, though a policy of another program may: "country", "dnsbl", "or".
std::string_view elsewhere(std::string_view name);

// What to write in the place of a key that a section does not have: "action" in "rule" -> "write reply = …".
std::string_view help_for_key(std::string_view section, std::string_view key);

// What to write in the place of reply = "REJECT", "DUNNO" and the like.
std::string_view help_for_reply(std::string_view word);

// The word that a key has for it: "dry-run" of mode -> "observe".
std::string_view choice_called(std::string_view key, std::string_view word);

// Whether a word stands for true or false: "yes", "off". Empty where it stands for neither.
std::string_view boolean_called(std::string_view word);

}  // namespace replygate
