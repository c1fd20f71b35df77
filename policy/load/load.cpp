#include "policy/load/load.h"

#include <sodium.h>

#include <array>

#include "policy/load/context.h"
#include "policy/load/patterns.h"
#include "policy/load/replies.h"
#include "policy/load/rules.h"
#include "policy/load/settings.h"

namespace replygate {
namespace {

// Changes with every octet of the policy and of the files that it reads.
std::string id_of(const Sources& sources) {
  crypto_generichash_state state;
  crypto_generichash_init(&state, nullptr, 0, 16);
  for (const auto& [name, text] : sources) {
    crypto_generichash_update(&state, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  std::array<unsigned char, 16> hash{};
  crypto_generichash_final(&state, hash.data(), hash.size());
  return fmt::format("{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3]);
}

void check_version(Context& context, const Node& root) {
  const Entry* version = root.find("version");
  if (version == nullptr) {
    Region top = root.region;
    top.line = top.end_line = top.column = 1;
    top.end_column = 2;
    context.error(Rg::version, top, "the policy does not say its version", "begin the file with: version = 1");
  } else if (version->value.kind != Node::Kind::integer || version->value.integer != 1) {
    context.error(Rg::version, version->value.region, "this version of the language is not known", "write version = 1");
  }
}

std::shared_ptr<const Policy> compile(Context& context, const Node& root) {
  check_version(context, root);
  context.check_keys(root, "", "a policy");
  Patterns patterns(context);
  Replies replies(context);
  SettingsLoader settings(context, patterns, root);
  settings.define_lists();
  if (const Entry* named = root.find("replies");
      named != nullptr && context.expect(named->value, Node::Kind::table, "replies")) {
    for (const Entry& entry : named->value.entries) replies.define(entry);
  }
  Settings values = settings.load();
  Site site = settings.site();
  std::vector<Rule> rules;
  if (const Entry* entry = root.find("rule"); entry != nullptr && entry->value.kind == Node::Kind::table) {
    context.error(Rg::wrong_type, entry->value.region, "one rule is an array of one", "write [[rule]]");
  } else if (entry != nullptr && context.expect(entry->value, Node::Kind::array, "rule")) {
    rules = load_rules(context, patterns, replies, settings.rule_defaults(values), entry->value);
  }
  if (context.failed()) return nullptr;
  return std::make_shared<const Policy>(std::move(site), std::move(values), std::move(rules), id_of(context.sources()));
}

}  // namespace

Loaded load_policy(const std::string& path, const ReadFile& read) {
  Context context(path, read);
  std::string why;
  const auto text = context.read(path, why);
  if (!text) {
    context.error(Rg::unreadable_file, {.file = path}, fmt::format("{}: {}", path, why));
    return context.finish(nullptr);
  }
  auto document = parse_document(*text, path);
  if (const auto* mistake = std::get_if<Diagnostic>(&document)) {
    Diagnostic& copy = context.error(mistake->code, mistake->primary.region, mistake->message, mistake->help);
    copy.primary.text = mistake->primary.text;
    return context.finish(nullptr);
  }
  auto policy = compile(context, std::get<Node>(document));
  return context.finish(std::move(policy));
}

}  // namespace replygate
