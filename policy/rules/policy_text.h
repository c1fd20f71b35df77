#pragma once

#include <cstddef>
#include <string>

#include "policy/rules/policy.h"

// A policy with every default filled in, for people.
namespace replygate {

std::string settings_text(const Settings& settings, const Site& site);
std::string rule_text(const Rule& rule, std::size_t number);

}  // namespace replygate
