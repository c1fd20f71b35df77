#pragma once

#include <string>
#include <vector>

#include "milter/import/access/lookup.h"
#include "milter/import/writer.h"

namespace replygate::import::access {

// One list of restrictions of Postfix, as far as it has been written.
struct List {
  // Who has been let through: fact and patterns.
  std::vector<std::pair<std::string, std::vector<std::string>>> permitted;
  std::string hangs_on;  // what may let somebody through that we cannot tell; "" for nothing
  std::string at = "rcpt";
  bool observe = false;  // warn_if_reject stands before the table
};

// Rules that let Postfix go on, and would keep ours from it: they stand behind all others.
struct Late {
  std::string name;
  RuleText rule;
  std::string where;
  std::string what;
};

// Writes the rules of a table, and adds to `list` whom it permits. `where`: before the lines of what is lost.
void write_table(Writer& writer, const Table& table, const AccessSettings& settings, const std::string& where,
                 List& list, std::vector<Late>& late);
void write_late(Writer& writer, const std::vector<Late>& late);

void exempt(RuleText& rule, const List& list);

}  // namespace replygate::import::access
