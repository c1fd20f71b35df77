#pragma once

#include <cstdint>
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
enum class Only : std::uint8_t { all, networks, names };
struct NamedSource {
  DataSource source;
  bool map = false;  // of Postfix: keys with values
  const Node* node = nullptr;
  Only only = Only::all;  // entries of the other kind belong to another list of the same source
};
std::optional<NamedSource> parse_source(Context& context, const Node& node, std::string_view shown);

// The entries of a source, found as they are asked for: one a line without its comment, see policy/mail/list_text.h; of
// a map the keys. A view into what the context keeps.
class ListText {
 public:
  ListText() = default;
  ListText(std::string_view text, const NamedSource& named, const std::string* name)
      : rest_(text),
        name_(name),
        file_(named.source.kind == DataSource::Kind::file),
        map_(named.map),
        only_(named.only) {}

  // The next one; nothing behind the last one.
  std::optional<ListItem> next();
  // What is still to come, in octets.
  std::size_t octets() const { return rest_.size(); }
  // Nothing is to come beyond what another one, a copy that is further on, has read.
  void end_where(const ListText& other) { rest_.remove_suffix(other.rest_.size()); }

 private:
  std::string_view rest_;
  const std::string* name_ = nullptr;
  bool file_ = false;
  bool map_ = false;
  Only only_ = Only::all;
  unsigned line_ = 0;  // that was read last
};

// Reads a source. Where a line is misread, with an error, it is the last one.
ListText read_list(Context& context, const NamedSource& source);

// Key and value of an entry "key value"; the value is empty where there is none.
std::pair<std::string_view, std::string_view> split_item(std::string_view text);

}  // namespace replygate
