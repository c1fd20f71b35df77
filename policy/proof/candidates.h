#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "policy/proof/solver.h"

// Values that stand for all values of a fact, as far as some literals can tell them apart.
namespace replygate {

struct Texts {
  std::vector<std::string> values;
  bool complete = true;  // false: some pattern has values that are not among them
};

// Text that no pattern names, and text that the positive literals on `fact` name.
Texts text_candidates(std::span<const Literal> literals, const FactRef& fact, std::string_view fresh);

// Both ends of ranges and their neighbours, not below `least` and not above `most`, ascending by distance from `first`.
std::vector<std::int64_t> number_candidates(std::span<const Literal> literals, Fact fact, std::int64_t least,
                                            std::int64_t most, std::int64_t first);

// Addresses of documentation networks, then one of each stretch that the literals on client_ip leave.
std::vector<IpAddress> address_candidates(std::span<const Literal> literals);

}  // namespace replygate
