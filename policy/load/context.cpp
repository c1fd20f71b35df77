#include "policy/load/context.h"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "policy/load/foreign.h"
#include "policy/load/keys.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"
#include "policy/rules/facts.h"

namespace replygate {

Diagnostic& Context::error(Rg code, const Region& at, std::string message, std::string help) {
  return diagnostics_.emplace_back(Diagnostic{.level = Diagnostic::Level::error,
                                              .code = code,
                                              .message = std::move(message),
                                              .primary = {at, ""},
                                              .secondary = {},
                                              .help = std::move(help)});
}

Diagnostic& Context::warning(Rg code, const Region& at, std::string message, std::string help) {
  Diagnostic& diagnostic = error(code, at, std::move(message), std::move(help));
  diagnostic.level = Diagnostic::Level::warning;
  return diagnostic;
}

Diagnostic& Context::note(Rg code, const Region& at, std::string message, std::string help) {
  Diagnostic& diagnostic = error(code, at, std::move(message), std::move(help));
  diagnostic.level = Diagnostic::Level::note;
  return diagnostic;
}

bool Context::failed() const {
  return std::ranges::any_of(diagnostics_, [](const Diagnostic& d) { return d.level == Diagnostic::Level::error; });
}

const std::string* Context::read(const DataSource& source, std::string& why) {
  const std::string name = source.text();
  if (const auto it = sources_.find(name); it != sources_.end()) return &it->second;
  DataSource full = source;
  if (source.path != path_) full.path = full_path(source.path);
  auto text = read_(full, why);
  return text ? &sources_.emplace(name, *std::move(text)).first->second : nullptr;
}

std::string Context::full_path(const std::string& path) const {
  return (std::filesystem::path(path_).parent_path() / path).string();
}

const std::string* Context::read_list(const DataSource& source, std::string& why) {
  if (std::ranges::find(watched_, source) == watched_.end()) watched_.push_back(source);
  return read(source, why);
}

namespace {

// As `kind` would have it written; "" where that is not plain.
std::string meant_as(Node::Kind kind, const Node& node) {
  const bool text = node.kind == Node::Kind::string;
  const std::string number = node.kind == Node::Kind::integer ? std::to_string(node.integer) : "";
  if (kind == Node::Kind::boolean) return std::string(boolean_called(text ? node.string : number));
  if (kind == Node::Kind::integer && text) {
    const auto count = parse_count(node.string.starts_with('/') ? node.string.substr(1) : node.string);
    return count ? std::to_string(*count) : "";
  }
  if (kind == Node::Kind::string && !number.empty()) return fmt::format("\"{}\"", number);
  if (kind == Node::Kind::array && text) return fmt::format("[\"{}\"]", node.string);
  return "";
}

}  // namespace

namespace {

// A fact where a key of the rule should be; "" for what is none.
std::string condition_of(const Entry& entry) {
  const std::string_view called = fact_called(entry.key);
  const std::string_view name = called.empty() ? std::string_view(entry.key) : called;
  return find_fact(name) != nullptr ? fmt::format("write when = {{ {} = … }}", name) : "";
}

}  // namespace

bool Context::expect(const Node& node, Node::Kind kind, std::string_view what) {
  if (node.kind == kind) return true;
  const std::string meant = meant_as(kind, node);
  error(Rg::wrong_type, node.region, fmt::format("{} is {}, not {}", what, describe(kind), describe(node.kind)),
        meant.empty() ? "" : fmt::format("write {}", meant));
  return false;
}

void Context::check_keys(const Node& table, std::string_view section, std::string_view shown) {
  const auto known = keys_of(section);
  for (const Entry& entry : table.entries) {
    if (std::ranges::find(known, entry.key) != known.end()) continue;
    const std::string_view help = help_for_key(section.empty() ? "top" : section, entry.key);
    const std::string fact = section == "rule" && help.empty() ? condition_of(entry) : "";
    error(Rg::unknown_key, entry.key_region, fmt::format("{} has no key \"{}\"", shown, entry.key),
          !help.empty()   ? std::string(help)
          : !fact.empty() ? fact
                          : suggestion(entry.key, known, "it has"));
  }
}

Loaded Context::finish(std::shared_ptr<const Policy> policy) {
  // What is compiled twice, once for each stage, reports its mistakes twice.
  const auto place = [](const Diagnostic& d) {
    return std::tuple(d.primary.region.file, d.primary.region.line, d.primary.region.column, d.code, d.message);
  };
  for (DataSource& source : watched_) {
    source.path = (std::filesystem::path(path_).parent_path() / source.path).string();
  }
  std::ranges::stable_sort(diagnostics_, {}, place);
  const auto equal = [&](const Diagnostic& a, const Diagnostic& b) { return place(a) == place(b); };
  diagnostics_.erase(std::unique(diagnostics_.begin(), diagnostics_.end(), equal), diagnostics_.end());
  return {.policy = failed() ? nullptr : std::move(policy),
          .diagnostics = std::move(diagnostics_),
          .sources = std::move(sources_),
          .watched = std::move(watched_)};
}

Context::Beside::~Beside() {
  for (std::size_t i = first_; i < context_.diagnostics_.size(); ++i) {
    Diagnostic& d = context_.diagnostics_[i];
    if (!d.secondary) d.secondary = label_;
  }
}

std::string suggestion(std::string_view word, std::span<const std::string_view> words, std::string_view what) {
  const std::string_view meant = nearest(word, words);
  if (!meant.empty()) return fmt::format("did you mean \"{}\"?", meant);
  return fmt::format("{} {}", what, join_or(words));
}

std::string choice_help(std::string_view key, std::string_view word, std::span<const std::string_view> words) {
  const std::string_view called = choice_called(key, word);
  const bool known = std::ranges::find(words, called) != words.end();
  return known ? fmt::format("did you mean \"{}\"?", called) : suggestion(word, words, "it is");
}

}  // namespace replygate
