#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load/context.h"
#include "policy/load/key_maps.h"
#include "policy/load/list_source.h"
#include "policy/load/text_pattern.h"
#include "policy/rules/match.h"

namespace replygate {

// Named lists and the compilation of patterns. A list is compiled once for each way in which it is used.
class Patterns {
 public:
  explicit Patterns(Context& context) : context_(context), text_(context), maps_(context) {}

  // Takes a list from `name = […]`, `name = { file = "…" }`, `name = { sqlite = "…", query = "…" }` or `name =
  // "texthash:/path"`.
  void define(const Entry& entry);

  // How networks are cut and keys made; before rules are compiled.
  void know(const Site& site) { text_.know(site); }
  const Site& site() const { return *text_.site(); }

  KeyMaps& maps() { return maps_; }

  // What `pattern` says of values; nothing, with diagnostics, where it says nothing. Lists that are asked while mail
  // comes are added to `live`; without a place for them they are reported.
  std::optional<Matcher> compile(const Subject& subject, std::string_view fact, const Node& pattern,
                                 std::vector<LiveSourcePtr>* live = nullptr);

  // The compiled list `name`; an empty one where it is not defined.
  std::shared_ptr<const TextSet> texts(std::string_view name, const Subject& subject);
  std::shared_ptr<const NetworkSet> networks(std::string_view name);

  // One pattern for text, or `$list`, e.g. the key of an override. Null, with a diagnostic, where it is none.
  std::shared_ptr<const TextSet> text_pattern(const std::string& text, const Region& at, const Subject& subject);

  // A glob in canonical form; nothing, with a diagnostic, where nothing can match it.
  std::optional<std::string> glob(const std::string& text, const Region& at, const Subject& subject);

  // The first entry of a list that names one domain and no pattern; "" for none.
  std::string first_domain(std::string_view list) const;

 private:
  // Entries that the policy names, or those of a source.
  struct List {
    Region region;
    std::vector<ListItem> items;
    ListText text;
    bool unread = false;           // which was reported
    LiveSourcePtr live = nullptr;  // is asked; then it has no entries

    // Calls `visit` with each entry until it returns true.
    template <typename Visit>
    bool any_of(Visit visit) const {
      if (std::ranges::any_of(items, visit)) return true;
      ListText rest = text;
      while (const auto item = rest.next()) {
        if (visit(*item)) return true;
      }
      return false;
    }
    template <typename Visit>
    void each(Visit visit) const {
      any_of([&](const ListItem& item) { return visit(item), false; });
    }
    bool empty() const {
      return !any_of([](const ListItem&) { return true; });
    }
  };

  const List* find(std::string_view name, const Region& at);
  Node with_lists(const Node& pattern);
  bool takes_live(const List& list, const Node& named, std::vector<LiveSourcePtr>* live);
  std::shared_ptr<const NetworkSet> networks_of(std::string_view fact, const std::vector<const Node*>& patterns,
                                                std::vector<LiveSourcePtr>* live);
  void add_network(NetworkSet& set, const ListItem& item);

  Context& context_;
  std::map<std::string, List, std::less<>> lists_;
  TextPatterns text_;
  KeyMaps maps_;
  std::map<std::pair<std::string, Subject>, std::shared_ptr<const TextSet>> texts_;
  std::map<std::string, std::shared_ptr<const NetworkSet>, std::less<>> networks_;
};

}  // namespace replygate
