#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/oracle/count_world.h"

// What a rule of the model means whatever has been counted.
namespace replygate::oracle::counts {

inline constexpr std::string_view kLocal = "ours.example";

bool is_postmaster(const std::string& address);
bool names_recipient(Part part);
bool is_event(What what);
bool in_session(const Cap& cap);
std::int64_t depth(const Cap& cap);

// When a fact is known, and where a rule is judged, and of its limits `cap`.
Point point_of(Part part);
Point point_of(const Rule& rule, const Cap* cap);

// The limits of a key: its own take the place of those in their unit over their kind of period.
std::vector<Cap> caps_of(const Rule& rule, const std::string& key);

}  // namespace replygate::oracle::counts
