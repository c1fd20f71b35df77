#pragma once

#include <string>
#include <variant>

#include "policy/catalogue/classes.h"
#include "policy/catalogue/enhanced.h"
#include "policy/count/limit.h"
#include "policy/rules/template.h"

// What rules answer. Values.
namespace replygate {

struct ReplySpec {
  const Classification* classification = nullptr;
  int code = 0;
  EnhancedCode enhanced;
  ReplyTemplate text;
};

// What a rule that holds answers: a refusal; or that no later rule is asked, and what the MTA shall do with the
// message; or nothing: it only adds header fields.
struct Accept {};
struct Hold {
  std::string reason;
};
struct Discard {};
struct Tag {};
using Outcome = std::variant<ReplySpec, Accept, Hold, Discard, Tag>;

// `header = { Name = "text" }`.
struct AddedHeader {
  std::string name;
  ReplyTemplate value;
};

// A harder reply for a key that keeps coming: once `after` refusals were given by the rule.
struct Escalation {
  Limit after;
  ReplySpec reply;
};

}  // namespace replygate
