#pragma once

#include <string>

#include "policy/count/store.h"
#include "policy/load/load.h"

namespace replygate {

// Counters to begin with, for `replygate try --state FILE`:
//
//   [[counter]]
//   rule  = "user-sending-quota"
//   limit = "500 recipients / 1h"
//   key   = "carol@example.org"      # several facts joined by '|'
//   used  = 499
//
// A limit that is a share also has `of`, the recipients. Before the counters `dead = ["bob@far.example"]` names dead
// addresses. Counts them in `store` at `now`. On mistakes nothing is counted; they come back with the text they point
// into.
struct SeededState {
  std::vector<std::string> dead;  // canonical
  std::vector<Diagnostic> diagnostics;
  Sources sources;
};
SeededState seed_state(const std::string& path, const ReadSource& read, const Policy& policy, Instant now,
                       Store& store);

}  // namespace replygate
