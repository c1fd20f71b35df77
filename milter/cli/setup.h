#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "milter/cli/commands.h"
#include "milter/host/symptom.h"
#include "policy/rules/policy.h"

namespace replygate {

int setup_postfix(const SetupOptions& options, const Policy& policy);
int setup_sendmail(const SetupOptions& options, const Policy& policy);

constexpr std::string_view kDrySetup = "nothing is changed; --apply does it";

// Where setup has nothing to do: says what it does not mend, or that `mta` asks as it should. The exit status.
int say_what_is_left(const Symptoms& symptoms, std::string_view mta);

// Keeps a file as FILE.before-replygate, with its owner and mode; says so. On failure the reason, for people.
tl::expected<void, std::string> keep_before(const std::string& file);

}  // namespace replygate
