#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/rules/facts.h"
#include "policy/rules/policy.h"

// How the facts of `per` make a key, as it is counted, shown and written by people. Pure; any thread.
namespace replygate {

inline constexpr char kPartSeparator = '|';

// The value of a fact as a part of a key: without what [keys] says is to be left out (tags, what changes in a sender),
// logins with their domain, in lower case.
std::string key_part(std::string value, Fact fact, const Site& site);

// Whether key_part() leaves the value as it is.
bool is_key_part(std::string_view value, Fact fact, const Site& site);

// A part as it stands in a key: '|' within it has a '\' before it, and so has a '\' that would else be taken for one of
// these, so that no two keys look like one.
void append_shown_part(std::string& key, std::string_view part);
std::string shown_part(std::string_view part);
// The parts of a key so written; one at least.
std::vector<std::string> parts_of_key(std::string_view text);

// A part that people write, in the form in which its fact comes to key_part(): IDNs as A-labels, addresses without
// needless quotes, networks as [keys] cuts them. Nothing where no value of the fact can look like this.
std::optional<std::string> canonical_key_part(std::string_view text, Fact fact, const Site& site);

// A network as client_net has it: the one that `text` names, cut as [keys] says, or any.
std::string net_like(std::string_view text, const Site& site);

}  // namespace replygate
