#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/load/context.h"

namespace replygate {

// One entry of a list. Its text is a view into the policy or into a source that the context keeps.
struct ListItem {
  std::string_view text;
  const Node* node = nullptr;         // an inline entry
  const std::string* file = nullptr;  // else the name of the source, and
  unsigned line = 0;                  // the line in it

  Region region() const;
};

// Where a table `{ file = … }` or `{ sqlite = …, query = … }`, or a string "texthash:/path", says that data is.
// Nothing, with a diagnostic, where it says nothing of the kind. `shown` is what the table is called in diagnostics.
struct NamedSource {
  DataSource source;
  bool map = false;  // of Postfix: keys with values
  const Node* node = nullptr;
};
std::optional<NamedSource> parse_source(Context& context, const Node& node, std::string_view shown);

// The entries of a source: one a line without its comment, see policy/mail/list_text.h; of a map the keys.
std::vector<ListItem> read_items(Context& context, const NamedSource& source);

// Key and value of an entry "key value"; the value is empty where there is none.
std::pair<std::string_view, std::string_view> split_item(std::string_view text);

}  // namespace replygate
