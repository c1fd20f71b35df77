#pragma once

#include <map>
#include <optional>
#include <string>

#include "policy/load/context.h"
#include "policy/rules/policy.h"

namespace replygate {

// The replies of a policy: [replies] by name, and `reply = …` of rules.
class Replies {
 public:
  explicit Replies(Context& context) : context_(context) {}

  // `name = { … }` of [replies]. It is compiled where it is used, since its meaning depends on the rule.
  void define(const Entry& entry);

  // What `reply = node` says; nothing, with diagnostics, where it is wrong. What it leaves open comes from its
  // classification; where it names none, from `reason`.
  std::optional<ReplySpec> compile(const Node& node, const Classification& reason);
  // The same of a step of escalation: where it names no classification, what it leaves open is as `own`, the reply of
  // the rule, but for the class digit, which follows from the code.
  std::optional<ReplySpec> compile_step(const Node& node, const ReplySpec& own);

  // Warns where the catalogue lists the code neither for the command of the stage nor as the default of a
  // classification that arises there.
  void check_stage(const ReplySpec& reply, Stage stage, const Region& at);

 private:
  // The fields of a reply as written; regions for diagnostics.
  struct Fields {
    const Node* code = nullptr;
    const Node* enhanced = nullptr;
    const Node* text = nullptr;
    const Classification* classification = nullptr;
  };

  // What takes the place of what a reply does not say.
  struct Standard {
    const Classification* classification;
    EnhancedCode enhanced;
    std::string_view text;
  };
  static Standard standard_of(const Classification& c) { return {&c, c.enhanced, c.text}; }

  std::optional<ReplySpec> compile(const Node& node, const Standard& standard);
  std::optional<ReplySpec> from_table(const Node& table, const Standard& standard);
  std::optional<ReplySpec> complete(const Fields& fields, Standard standard, const Region& at);
  std::optional<int> code_of(const Node& node);
  std::optional<EnhancedCode> enhanced_of(const Fields& fields, int code);
  std::optional<ReplyTemplate> text_of(const Node& node, EnhancedCode enhanced);
  const Classification* class_of(const Node& node);
  void unknown_name(const Node& node, bool replies_too);

  Context& context_;
  struct Named {
    const Node* table;
    Region name;
  };
  std::map<std::string, Named, std::less<>> named_;
};

}  // namespace replygate
