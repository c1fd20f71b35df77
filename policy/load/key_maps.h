#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "policy/load/context.h"
#include "policy/rules/key_map.h"

namespace replygate {

// The maps of [maps], and the keys that name them.
class KeyMaps {
 public:
  explicit KeyMaps(Context& context) : context_(context) {}

  // Takes a map from `name = { file = "…" }`, `{ sqlite = "…", query = "…" }` or a live source.
  void define(const Entry& entry);

  // "user_domain", or "tenant(user_domain)", or a map of a map; reports what names none.
  std::optional<FactRef> key(std::string_view text, const Region& at);

 private:
  std::shared_ptr<const KeyMap> find(std::string_view name, const Region& at);
  void read_table(const Node& node, std::string_view shown, KeyMap& map);

  Context& context_;
  std::map<std::string, std::shared_ptr<const KeyMap>, std::less<>> maps_;  // null: it is wrong, which was reported
  std::map<std::string, Region, std::less<>> places_;
};

}  // namespace replygate
