#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policy/load/diagnostic.h"
#include "policy/policy.h"

namespace replygate {

// What a loaded policy needs of the file system: the content of a file, or nothing with a reason in `why`.
using ReadFile = std::function<std::optional<std::string>(const std::string& path, std::string& why)>;

struct Loaded {
  std::shared_ptr<const Policy> policy;  // null where some diagnostic is an error
  std::vector<Diagnostic> diagnostics;   // all mistakes at once, in the order of the files
  Sources sources;                       // what they point into

  bool ok() const { return policy != nullptr; }
};

// Compiles the policy in `path`. Lists in files are read too, relative paths from the folder of the policy.
Loaded load_policy(const std::string& path, const ReadFile& read);

}  // namespace replygate
