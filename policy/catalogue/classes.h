#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "policy/base/stage.h"
#include "policy/catalogue/codes.h"
#include "policy/catalogue/enhanced.h"

namespace replygate {

using StageSet = std::uint8_t;
constexpr StageSet bit(Stage s) { return static_cast<StageSet>(1U << static_cast<unsigned>(s)); }
// What can arise at the final dot can arise at the end of the headers, which is answered there too.
constexpr bool has(StageSet set, Stage s) { return (set & bit(s == Stage::header ? Stage::message : s)) != 0; }

// One reason for a refusal. Slugs are permanent: logs and policies name them.
struct Classification {
  std::string_view slug;
  int code = 0;           // default reply, 4yz or 5yz
  EnhancedCode enhanced;  // of the same severity
  std::string_view text;  // default text, a reply template
  StageSet stages = 0;    // where the reason can arise
  std::string_view meaning;
};

// All classifications, in the order of the documentation.
std::span<const Classification> classifications();

// By slug, or null.
const Classification* find_classification(std::string_view slug);

// What a code means of which nobody has said why: refused-by-policy, with the class digit of the code.
const Classification& classification_without_reason();

// All whose default is `code`.
std::vector<const Classification*> classifications_with(int code);

// The commands of the SMTP dialogue to which a reply of `stage` is given, for comparison with ReplyCode::commands.
CommandSet commands_of(Stage stage);

}  // namespace replygate
