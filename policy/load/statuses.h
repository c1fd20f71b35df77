#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "policy/remote/knowledge.h"

namespace replygate {

// A file of conf/statuses: its name and its text.
struct StatusFile {
  std::string name;  // "google.toml"
  std::string text;
  bool checked = false;  // a test has looked at its expressions
};

// The knowledge of some files, providers in the order of the files. Where one is wrong: "google.toml:12: what is wrong;
// what to write instead". conf/STATUSES.md documents the keys.
tl::expected<Knowledge, std::string> load_statuses(const std::vector<StatusFile>& files);

}  // namespace replygate
