#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/rules/facts.h"

// What somebody probably meant who wrote a quantity in everyday words or in the syntax of another program. Guesses for
// help texts: in the policy's own syntax, "" where nothing is plain. Pure.
namespace replygate {

std::string meant_limit(std::string_view text);     // "100 per hour" -> "100 messages / 1h"
std::string meant_duration(std::string_view text);  // "5 min" -> "5m", "300" -> "5m"
std::string meant_size(std::string_view text);      // "10 megabytes" -> "10 MB", "10000" -> "10 kB"

// A comparison: "at least 5" -> ">= 5", "5-10" -> "5..10", "10pm-6am" -> "22:00-06:00", "weekend" -> "sat-sun".
std::string meant_range(FactKind kind, std::string_view text);

// Several values in one text, parted by commas or blanks; and values as an array of a policy: ["a", "b"].
std::vector<std::string_view> parts_meant(std::string_view text);
std::string array_of(const std::vector<std::string_view>& values);

// A network: "192.0.2.*" -> "192.0.2.0/24", "10.0.0.0/255.0.0.0" -> "10.0.0.0/8"; a range: "192.0.2.6-192.0.2.8" ->
// `192.0.2.6/31", "192.0.2.8`, which quotes make an entry each.
std::string meant_network(std::string_view text);

}  // namespace replygate
