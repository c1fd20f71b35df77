#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/load/diagnostic.h"
#include "policy/rules/data_source.h"
#include "policy/rules/policy.h"
#include "policy/scenario/scenario.h"

namespace replygate {

// How a load reaches the world: the text of a source, or nothing with a reason in `why`.
using ReadSource = std::function<std::optional<std::string>(const DataSource& source, std::string& why)>;

struct Loaded {
  std::shared_ptr<const Policy> policy;  // null where some diagnostic is an error
  std::vector<Diagnostic> diagnostics;   // all mistakes at once, in the order of the files
  Sources sources;                       // what they point into
  std::vector<Scenario> tests;
  std::vector<DataSource> watched;  // lists and the like, whose change asks for a new load

  bool ok() const { return policy != nullptr; }
};

// Compiles the policy in `path` and what it includes. Lists are read too, relative paths from the folder of the policy.
Loaded load_policy(const std::string& path, const ReadSource& read);

}  // namespace replygate
