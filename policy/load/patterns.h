#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load/context.h"
#include "policy/load/list_source.h"
#include "policy/match.h"

namespace replygate {

// Named lists and the compilation of patterns. A list is compiled once for each way in which it is used.
class Patterns {
 public:
  explicit Patterns(Context& context) : context_(context) {}

  // Takes a list from `name = […]`, `name = { file = "…" }`, `name = { sqlite = "…", query = "…" }` or `name =
  // "texthash:/path"`.
  void define(const Entry& entry);

  // What `pattern` says of values of a kind; nothing, with diagnostics, where it says nothing.
  std::optional<Matcher> compile(FactKind kind, std::string_view fact, const Node& pattern);

  // The compiled list `name`; an empty one where it is not defined.
  std::shared_ptr<const TextSet> texts(std::string_view name, FactKind kind);
  std::shared_ptr<const NetworkSet> networks(std::string_view name);

  // One pattern for text, or `$list`, e.g. the key of an override. Null, with a diagnostic, where it is none.
  std::shared_ptr<const TextSet> text_pattern(const std::string& text, const Region& at, FactKind kind);

  // The first entry of a list that names one domain and no pattern; "" for none.
  std::string first_domain(std::string_view list) const;

 private:
  struct List {
    Region region;
    std::vector<ListItem> items;
  };

  const List* find(std::string_view name, const Region& at);
  std::optional<Matcher> numbers(FactKind kind, std::string_view fact, const Node& pattern);
  void add_network(NetworkSet& set, const ListItem& item);
  void add_text(TextSet& set, FactKind kind, const ListItem& item);
  void add_regex(TextSet& set, const ListItem& item);
  void add_exact(TextSet& set, FactKind kind, const ListItem& item);
  std::optional<std::string> domain(std::string_view text, const ListItem& item);

  Context& context_;
  std::map<std::string, List, std::less<>> lists_;
  std::map<std::pair<std::string, FactKind>, std::shared_ptr<const TextSet>> texts_;
  std::map<std::string, std::shared_ptr<const NetworkSet>, std::less<>> networks_;
};

}  // namespace replygate
