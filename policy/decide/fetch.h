#pragma once

#include <functional>

#include "policy/decide/lookups.h"

namespace replygate {

// Tells what is wanted and known at once, or cannot be asked: without lookups nothing can. False: something must be
// asked, see ask_wanted().
bool tell_known(Answers& answers, Lookups* lookups);

// Asks all that is still wanted, at once. `then` is called once all have answered, on whatever thread, and the answers
// are told before; they are used by nobody meanwhile.
void ask_wanted(Answers& answers, Lookups& lookups, std::function<void()> then);

}  // namespace replygate
