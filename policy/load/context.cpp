#include "policy/load/context.h"

#include <algorithm>
#include <filesystem>
#include <tuple>

#include "policy/load/keys.h"
#include "policy/mail/text.h"

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
  if (source.path != path_) full.path = (std::filesystem::path(path_).parent_path() / source.path).string();
  auto text = read_(full, why);
  return text ? &sources_.emplace(name, *std::move(text)).first->second : nullptr;
}

const std::string* Context::read_list(const DataSource& source, std::string& why) {
  if (std::ranges::find(watched_, source) == watched_.end()) watched_.push_back(source);
  return read(source, why);
}

bool Context::expect(const Node& node, Node::Kind kind, std::string_view what) {
  if (node.kind == kind) return true;
  error(Rg::wrong_type, node.region, fmt::format("{} is {}, not {}", what, describe(kind), describe(node.kind)));
  return false;
}

void Context::check_keys(const Node& table, std::string_view section, std::string_view shown) {
  const auto known = keys_of(section);
  for (const Entry& entry : table.entries) {
    if (std::ranges::find(known, entry.key) != known.end()) continue;
    error(Rg::unknown_key, entry.key_region, fmt::format("{} has no key \"{}\"", shown, entry.key),
          suggestion(entry.key, known, "it has"));
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

std::string suggestion(std::string_view word, std::span<const std::string_view> words, std::string_view what) {
  const std::string_view meant = nearest(word, words);
  if (!meant.empty()) return fmt::format("did you mean \"{}\"?", meant);
  return fmt::format("{} {}", what, join_or(words));
}

}  // namespace replygate
