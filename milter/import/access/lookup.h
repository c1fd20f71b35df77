#pragma once

#include <string>
#include <vector>

#include "milter/import/access/table.h"
#include "milter/import/importer.h"

// How Postfix finds an entry: which keys it asks a table for, and in which order (access(5)).
namespace replygate::import::access {

// An entry as our patterns have it. Of all whose pattern matches the first one counts.
struct Found {
  const Entry* entry = nullptr;
  std::string fact;
  std::vector<std::string> patterns;
  bool negated = false;  // it counts where no pattern matches
  int rank = 0;          // of an index: those of one rank exclude each other
  std::string why;       // why it cannot be had; "" where it can
  bool idle = false;     // Postfix never asks for this key
};

// In the order of Postfix. Pointers are into `table`.
std::vector<Found> lookup_order(const Table& table, const AccessSettings& settings);

// Whether both may match one key. True where that cannot be told.
bool may_meet(const Found& a, const Found& b);

// Of tables of expressions.
Found found_pattern(const Entry& entry, const AccessSettings& settings);

}  // namespace replygate::import::access
