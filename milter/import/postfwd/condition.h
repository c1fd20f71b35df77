#pragma once

#include <optional>
#include <string>
#include <vector>

#include "milter/import/importer.h"
#include "milter/import/postfwd/lexer.h"
#include "milter/import/writer.h"

// Items of postfwd as conditions of ours.
namespace replygate::import::postfwd {

// When a request can fulfil an item. All of these hold together.
struct Alternative {
  std::vector<std::pair<std::string, std::vector<std::string>>> when;  // fact, patterns of which one matches
  std::vector<std::pair<std::string, std::vector<std::string>>> unless;
  bool at_data = false;  // is known there

  void apply(RuleText& rule) const;
};

// One item, with all the values that the rule has for it.
struct Condition {
  std::vector<Alternative> alternatives;  // one of which must hold; none: it never does
  std::string why;                        // why it cannot be had; "" where it can
};

// `all`: the items of a rule with one key.
Condition condition_of(const std::vector<Item>& all, const ImportSource& source);

// The fact that an attribute of a request is, with the condition under which it is empty; "" where it never is.
struct Attribute {
  std::string fact;
  std::string empty_when;  // "authenticated = false": fact and value
};
std::optional<Attribute> attribute_of(std::string_view key);

}  // namespace replygate::import::postfwd
