#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <iterator>

#include "milter/cli/commands.h"
#include "milter/cli/sqlite_dump.h"
#include "milter/files.h"
#include "milter/import/importer.h"
#include "policy/mail/list_text.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

// "postfwd.cf" names its rules "postfwd-…", so that two outputs in one policy do not clash.
std::string stem_of(const std::string& file) {
  std::string stem = std::filesystem::path(file).stem().string();
  return stem == "-" ? "" : stem;
}

// What a configuration names is looked for as the other program would, and then beside it.
std::optional<std::string> read_beside(const std::string& file, const std::string& path) {
  std::string why;
  if (auto text = read_file(path, why)) return text;
  if (path.starts_with('/')) return std::nullopt;
  return read_file(std::filesystem::path(file).replace_filename(path).string(), why);
}

std::optional<std::string> content_of(const ImportOptions& options) {
  std::string why;
  auto text = read_file(options.file == "-" ? "/dev/stdin" : options.file, why);
  if (text && is_sqlite(*text)) {
    auto dump = dump_sqlite(options.file);
    why = dump ? "" : dump.error();
    text = dump ? std::optional(*std::move(dump)) : std::nullopt;
  }
  if (!text) fmt::print(stderr, "replygate import: {}: {}\n", options.file, why);
  return text;
}

Imported imported_from(const ImportOptions& options, const std::string& content, const ImportSource& source) {
  if (options.format == "access") {
    return import_access(content,
                         {.as = options.as,
                          .type = options.type,
                          .delimiters = options.delimiter,
                          .dotted_parents = options.dotted_parents},
                         source);
  }
  if (options.format == "postfix") return import_postfix(content, source);
  if (options.format == "postfwd") return import_postfwd(content, source);
  if (options.format == "cbpolicyd") return import_cbpolicyd(content, source);
  if (options.format == "iredapd") return import_iredapd(content, source);
  if (options.format == "rspamd") return import_rspamd(content, source);
  if (options.format == "exim") return import_exim(content, source);
  return import_policyd_rate_limit(content, source);
}

}  // namespace

int import_command(const ImportOptions& options) {
  if (options.format == "access" && options.as.empty()) {
    fmt::print(stderr,
               "replygate import: say what the keys of the table are: --as client, helo, sender or recipient\n");
    return kUsage;
  }
  const auto text = content_of(options);
  if (!text) return kNoInput;
  const ImportSource source{.prefix = options.prefix.value_or(stem_of(options.file)),
                            .read = [&](const std::string& path) { return read_beside(options.file, path); }};
  const Imported imported = imported_from(options, std::string(without_byte_order_mark(*text)), source);
  fmt::print("{}", imported.policy);
  for (const std::string& lost : imported.lost) fmt::print(stderr, "not carried over: {}\n", lost);
  if (imported.policy.empty()) return kPolicyError;
  return imported.lost.empty() ? kFine : kFound;
}

}  // namespace replygate
