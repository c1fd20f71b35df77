#include <fmt/format.h>

#include <cstdio>

#include "milter/cli/commands.h"
#include "milter/files.h"
#include "milter/import/importer.h"
#include "policy/mail/list_text.h"

namespace replygate {

int import_command(const ImportOptions& options) {
  std::string why;
  const auto text = read_file(options.file, why);
  if (!text) {
    fmt::print(stderr, "replygate import: {}: {}\n", options.file, why);
    return kNoInput;
  }
  if (options.format == "access" && options.as.empty()) {
    fmt::print(stderr,
               "replygate import: say what the keys of the table are: --as client, helo, sender or recipient\n");
    return kUsage;
  }
  const std::string content(without_byte_order_mark(*text));
  const Imported imported = options.format == "access"    ? import_access(content, options.as)
                            : options.format == "postfwd" ? import_postfwd(content)
                                                          : import_policyd_rate_limit(content);
  fmt::print("{}", imported.policy);
  for (const std::string& lost : imported.lost) fmt::print(stderr, "not carried over: {}\n", lost);
  if (imported.policy.empty()) return kPolicyError;
  return imported.lost.empty() ? kFine : kFound;
}

}  // namespace replygate
