#pragma once

#include <random>
#include <vector>

#include "tests/oracle/count_model.h"

namespace replygate::oracle::counts {

using Random = std::mt19937_64;

// Rules made by chance; `prefix` makes their names, and so their counters, differ from all others.
Policy make_policy(Random& random, const std::string& prefix);

// What comes next, of what makes sense in the model's state. Without `waits` no time passes but a second here and
// there.
Act make_act(Random& random, const Model& model, bool waits);

}  // namespace replygate::oracle::counts
