#include "policy/load/load.h"

#include <sodium.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "policy/load/context.h"
#include "policy/load/foreign.h"
#include "policy/load/keys.h"
#include "policy/load/lint.h"
#include "policy/load/lints.h"
#include "policy/load/patterns.h"
#include "policy/load/replies.h"
#include "policy/load/rules.h"
#include "policy/load/settings.h"
#include "policy/load/tests.h"
#include "policy/mail/text.h"

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

// An included file may leave it away.
void check_version(Context& context, const Node& root, bool required) {
  const Entry* version = root.find("version");
  if (version == nullptr) {
    if (!required) return;
    Region top = root.region;
    top.line = top.end_line = top.column = 1;
    top.end_column = 2;
    context.error(Rg::version, top, "the policy does not say its version", "begin the file with: version = 1");
  } else if (version->value.kind != Node::Kind::integer || version->value.integer != 1) {
    context.error(Rg::version, version->value.region, "this version of the language is not known", "write version = 1");
  }
}

// The policy and what it includes, parsed.
struct Documents {
  Node main;
  std::vector<Node> included;

  std::vector<const Node*> all() const {
    std::vector<const Node*> result = {&main};
    for (const Node& node : included) result.push_back(&node);
    return result;
  }
};

std::optional<Node> parse(Context& context, const std::string& text, const std::string& file) {
  auto document = parse_document(text, file);
  if (auto* node = std::get_if<Node>(&document)) return std::move(*node);
  auto& mistake = std::get<Diagnostic>(document);
  context.error(mistake.code, mistake.primary.region, mistake.message, mistake.help).secondary = mistake.secondary;
  return std::nullopt;
}

// Who is told may stand in one of the files.
void take_notify(Context& context, Documents& documents, const Node& node) {
  const Entry* notify = node.find("notify");
  if (notify == nullptr) return;
  if (const Entry* first = documents.main.find("notify")) {
    Diagnostic& d = context.error(Rg::defined_twice, notify->key_region, "[notify] is there twice", "keep one of them");
    d.secondary = Label{first->key_region, "first defined here"};
    return;
  }
  documents.main.entries.push_back(*notify);
}

void include_file(Context& context, Documents& documents, const std::string& file, const Region& at) {
  std::string why;
  const std::string* text = context.read({DataSource::Kind::file, file, ""}, why);
  if (text == nullptr) {
    context.error(Rg::include, at, fmt::format("{}: {}", file, why),
                  "relative paths are taken from the policy's folder");
    return;
  }
  auto node = parse(context, *text, file);
  if (!node) return;
  context.check_keys(*node, "included", "an included file");
  check_version(context, *node, false);
  take_notify(context, documents, *node);
  documents.included.push_back(*std::move(node));
}

// Paths that match, as the policy would write them.
std::vector<std::string> matching(Context& context, const std::string& policy, const std::string& pattern) {
  std::string why;
  const std::string* paths = context.read({DataSource::Kind::glob, pattern, ""}, why);
  std::vector<std::string> result;
  if (paths == nullptr) return result;
  const auto folder = std::filesystem::path(policy).parent_path();
  for (const std::string_view line : split(*paths, '\n')) {
    if (line.empty()) continue;
    const bool relative = !pattern.starts_with('/') && !folder.empty();
    result.push_back(relative ? std::filesystem::path(line).lexically_relative(folder).string() : std::string(line));
  }
  return result;
}

void include(Context& context, Documents& documents, const std::string& policy) {
  const Entry* entry = documents.main.find("include");
  if (entry == nullptr || !context.expect(entry->value, Node::Kind::array, "include")) return;
  for (const Node& item : entry->value.items) {
    if (!context.expect(item, Node::Kind::string, "a file of include")) continue;
    if (item.string.find_first_of("*?[") == std::string::npos) {
      include_file(context, documents, item.string, item.region);
      continue;
    }
    for (const std::string& file : matching(context, policy, item.string)) {
      include_file(context, documents, file, item.region);
    }
  }
}

// "policy.test.toml" and "policy.*.test.toml" beside "policy.toml".
void include_tests(Context& context, Documents& documents, const std::string& policy) {
  const std::filesystem::path path(policy);
  if (path.extension() != ".toml") return;
  const std::string stem = path.stem().string();
  for (const std::string_view ending : {".test.toml", ".*.test.toml"}) {
    for (const std::string& file : matching(context, policy, fmt::format("{}{}", stem, ending))) {
      include_file(context, documents, file, {.file = policy});
    }
  }
}

bool is_of_tables(const Node& node) {
  return node.kind == Node::Kind::array &&
         std::ranges::all_of(node.items, [](const Node& item) { return item.kind == Node::Kind::table; });
}

// The key is no other one, and was meant to be `name`: what stands in it is looked at, too.
bool means(std::string_view key, std::string_view name) {
  const auto known = keys_of("");
  if (std::ranges::find(known, key) != known.end()) return false;
  return help_for_key("top", key) == fmt::format("did you mean [[{}]]?", name) || nearest(key, known) == name;
}

std::vector<const Node*> tables_of(Context& context, const Documents& documents, std::string_view name) {
  std::vector<const Node*> tables;
  for (const Node* document : documents.all()) {
    for (const Entry& entry : document->entries) {
      const bool misspelt = entry.key != name && is_of_tables(entry.value) && means(entry.key, name);
      if (entry.key != name && !misspelt) continue;
      if (entry.value.kind == Node::Kind::table) {
        context.error(Rg::wrong_type, entry.value.region, fmt::format("one {} is an array of one", name),
                      fmt::format("write [[{}]]", name));
      } else if (context.expect(entry.value, Node::Kind::array, name)) {
        for (const Node& table : entry.value.items) tables.push_back(&table);
      }
    }
  }
  return tables;
}

void define_replies(Context& context, const Documents& documents, Replies& replies) {
  for (const Node* document : documents.all()) {
    const Entry* named = document->find("replies");
    if (named == nullptr || !context.expect(named->value, Node::Kind::table, "replies")) continue;
    for (const Entry& entry : named->value.entries) replies.define(entry);
  }
}

void check_mailbox(Context& context, const Settings& settings, const std::vector<Rule>& rules) {
  if (!settings.mailbox.none()) return;
  const auto it = std::ranges::find_if(rules, [](const Rule& rule) {
    const auto named = rule.named_facts();
    return std::ranges::find(named, Fact::mailbox_used, &FactRef::fact) != named.end();
  });
  if (it == rules.end()) return;
  context.error(Rg::mailbox_source, head_of(*it),
                fmt::format("the rule \"{}\" needs mailbox_used, and nothing says how full mailboxes are", it->name),
                "add for instance [mailbox] with quota_status = \"inet:12340@127.0.0.1\"");
}

// What a host may admit alone depends on how many share the limit.
void check_local_counting(Context& context, const Settings& settings, const std::vector<Rule>& rules) {
  const bool shared = settings.store.backend == StoreSettings::Backend::redis;
  const auto it = std::ranges::find(rules, OnStoreError::local, &Rule::on_store_error);
  if (!shared || settings.store.hosts > 0 || it == rules.end()) return;
  context.error(Rg::store, head_of(*it),
                fmt::format("the rule \"{}\" counts locally, and nothing says how many hosts there are", it->name),
                "add for instance hosts = 3 to [store]");
}

std::vector<LiveSourcePtr> sources_of(const std::vector<Rule>& rules) {
  std::vector<LiveSourcePtr> all;
  for (const Rule& rule : rules) {
    for (LiveSourcePtr& source : rule.live_sources()) all.push_back(std::move(source));
  }
  return all;
}

std::shared_ptr<const Policy> compile(Context& context, const Documents& documents, std::vector<Scenario>& tests) {
  const Node& root = documents.main;
  check_version(context, root, true);
  context.check_keys(root, "", "a policy");
  Patterns patterns(context);
  Replies replies(context);
  SettingsLoader settings(context, patterns, root);
  settings.define_lists(documents.all());
  define_replies(context, documents, replies);
  Settings values = settings.load();
  Site site = settings.site();
  patterns.know(site);
  auto rules =
      load_rules(context, patterns, replies, settings.rule_defaults(values), tables_of(context, documents, "rule"));
  check_mailbox(context, values, rules);
  check_local_counting(context, values, rules);
  tests = load_tests(context, tables_of(context, documents, "test"), sources_of(rules));
  if (context.failed()) return nullptr;
  return std::make_shared<const Policy>(std::move(site), std::move(values), std::move(rules), id_of(context.sources()));
}

}  // namespace

Loaded load_policy(const std::string& path, const ReadSource& read) {
  Context context(path, read);
  std::string why;
  const std::string* text = context.read({DataSource::Kind::file, path, ""}, why);
  if (text == nullptr) {
    context.error(Rg::unreadable_file, {.file = path}, fmt::format("{}: {}", path, why),
                  why == "Permission denied" ? "let the user of this command read it: chmod 0644 " + path : "");
    return context.finish(nullptr);
  }
  auto main = parse(context, *text, path);
  if (!main) return context.finish(nullptr);
  Documents documents{*std::move(main), {}};
  include(context, documents, path);
  include_tests(context, documents, path);
  std::vector<Scenario> tests;
  auto policy = compile(context, documents, tests);
  if (policy != nullptr) lint(context, *policy);
  Loaded loaded = context.finish(std::move(policy));
  loaded.tests = std::move(tests);
  return loaded;
}

}  // namespace replygate
