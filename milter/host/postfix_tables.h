#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace replygate {

// Look-up tables of Postfix, "hash:/etc/postfix/access", as postmap(1) and their files tell.
class PostfixTables {
 public:
  using Entries = std::vector<std::pair<std::string, std::string>>;

  explicit PostfixTables(std::string folder) : folder_(std::move(folder)) {}

  // The value of the first key that is there; "" for none, nothing where the table cannot be asked.
  std::optional<std::string> look_up(std::string_view table, const std::vector<std::string>& keys) const;
  // All keys and values; nothing where they cannot be known, as of a database.
  std::optional<Entries> entries(std::string_view table) const;

 private:
  std::string folder_;  // of main.cf; "": the standard one
};

}  // namespace replygate
