#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <cstdio>

#include "milter/cli/catalogue_json.h"
#include "milter/cli/commands.h"
#include "milter/cli/table.h"

namespace replygate {

int codes_command(const CodesOptions& options) {
  if (options.json) {
    boost::json::array all;
    for (const ReplyCode& code : reply_codes()) all.push_back(json_of(code));
    fmt::print("{}", line_of(all));
    return kFine;
  }
  fmt::print("{:<5} {:<12} {:<14} {:<6} {}\n", "code", "severity", "category", "bounce", "meaning");
  for (const ReplyCode& code : reply_codes()) {
    std::vector<std::string_view> meanings;
    for (const Sense& sense : code.senses) meanings.push_back(sense.meaning);
    const std::string head = fmt::format("{:<5} {:<12} {:<14} {:<6} ", code.code, to_string(severity_of(code.code)),
                                         category_of(code.code), to_string(bounce_of(code.code)));
    fmt::print("{}", labelled(head, head.size(), fmt::format("{}", fmt::join(meanings, "; "))));
  }
  fmt::print("\n{:<27} {:<11} {}\n", "classification", "default", "meaning");
  for (const Classification& c : classifications()) {
    const std::string head = fmt::format("{:<27} {} {:<7} ", c.slug, c.code, c.enhanced.text());
    fmt::print("{}", labelled(head, head.size(), c.meaning));
  }
  return kFine;
}

}  // namespace replygate
