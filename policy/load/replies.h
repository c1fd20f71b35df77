#pragma once

#include <map>
#include <optional>
#include <string>

#include "policy/load/context.h"
#include "policy/policy.h"

namespace replygate {

// The replies of a policy: [replies] by name, and `reply = …` of rules.
class Replies {
 public:
  explicit Replies(Context& context) : context_(context) {}

  // `name = { … }` of [replies]. It is compiled where it is used, since its meaning depends on the stage.
  void define(const Entry& entry);

  // What `reply = node` says; nothing, with diagnostics, where it is wrong. `stage` may still be moved by facts in the
  // text, so that the code's fitness for it is checked apart.
  std::optional<ReplySpec> compile(const Node& node, Stage stage);

  // Warns where neither catalogue nor classification lists the code for the command of the stage.
  void check_stage(const ReplySpec& reply, Stage stage, const Region& at);

 private:
  // The fields of a reply as written; regions for diagnostics.
  struct Fields {
    const Node* code = nullptr;
    const Node* enhanced = nullptr;
    const Node* text = nullptr;
    const Classification* classification = nullptr;
  };

  std::optional<ReplySpec> from_table(const Node& table, Stage stage);
  std::optional<ReplySpec> complete(const Fields& fields, Stage stage, const Region& at);
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
