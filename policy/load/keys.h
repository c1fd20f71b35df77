#pragma once

#include <span>
#include <string_view>

namespace replygate {

// The keys of one section of a policy. conf/POLICY.md documents each of them.
struct Section {
  std::string_view name;  // "" for the top level
  std::span<const std::string_view> keys;
};

// The keys of the section `name`; empty for sections whose keys are names that the admin chooses.
std::span<const std::string_view> keys_of(std::string_view name);

}  // namespace replygate
