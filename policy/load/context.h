#pragma once

#include <fmt/format.h>

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/load/document.h"
#include "policy/load/load.h"

namespace replygate {

// One run of the loader: what was read, and what is wrong. Used by one thread.
class Context {
 public:
  Context(std::string policy_path, const ReadSource& read) : path_(std::move(policy_path)), read_(read) {}

  // All return the diagnostic for labels to be added; the reference is good until the next call.
  Diagnostic& error(Rg code, const Region& at, std::string message, std::string help = "");
  Diagnostic& warning(Rg code, const Region& at, std::string message, std::string help = "");
  Diagnostic& note(Rg code, const Region& at, std::string message, std::string help = "");
  bool failed() const;
  std::size_t count() const { return diagnostics_.size(); }

  // What is said from now on until the value is gone gets a second place beside its own, where it has none.
  class Beside;

  // The text of a source, read once and kept, so that views into it stay good; null with a reason where it can't be
  // had. Relative paths are taken from the folder of the policy.
  const std::string* read(const DataSource& source, std::string& why);
  // Where a source of that path is.
  std::string full_path(const std::string& path) const;
  // As read(), of what the daemon shall watch for changes.
  const std::string* read_list(const DataSource& source, std::string& why);

  // A text that stays where it is as long as the context.
  const std::string* keep(std::string text) { return &*kept_.insert(std::move(text)).first; }

  // False, with a diagnostic, where the value is of another type.
  bool expect(const Node& node, Node::Kind kind, std::string_view what);

  // Reports each key of `table` that the section `section` does not have.
  void check_keys(const Node& table, std::string_view section, std::string_view shown);

  const Sources& sources() const { return sources_; }

  // Sorts the diagnostics by place and gives everything up.
  Loaded finish(std::shared_ptr<const Policy> policy);

 private:
  std::string path_;
  const ReadSource& read_;
  std::vector<Diagnostic> diagnostics_;
  Sources sources_;
  std::vector<DataSource> watched_;
  std::set<std::string> kept_;
};

class Context::Beside {
 public:
  Beside(Context& context, Label label)
      : context_(context), label_(std::move(label)), first_(context.diagnostics_.size()) {}
  Beside(const Beside&) = delete;
  Beside& operator=(const Beside&) = delete;
  ~Beside();

 private:
  Context& context_;
  Label label_;
  std::size_t first_;
};

// "did you mean "x"?" for a word that resembles one of `words`, else a help that names them all.
std::string suggestion(std::string_view word, std::span<const std::string_view> words, std::string_view what);

// As suggestion(), for the words that a key may have.
std::string choice_help(std::string_view key, std::string_view word, std::span<const std::string_view> words);

// The enumerator that a word means. Reports what the choices are where it means none.
template <typename T, std::size_t N>
std::optional<T> choice(Context& context, const Node& node, std::string_view key,
                        const std::pair<std::string_view, T> (&choices)[N]) {
  if (!context.expect(node, Node::Kind::string, key)) return std::nullopt;
  std::vector<std::string_view> words;
  for (const auto& [word, value] : choices) {
    if (word == node.string) return value;
    words.push_back(word);
  }
  context.error(Rg::not_a_choice, node.region, fmt::format("{} = \"{}\" is not a choice", key, node.string),
                choice_help(key, node.string, words));
  return std::nullopt;
}

}  // namespace replygate
