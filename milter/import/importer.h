#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Rules of other programs as a policy. Pure: text in, text out. A rule either means what it meant, or stands as a
// comment at its place in the order, with the reason; so does every later rule whose meaning hangs on it.
namespace replygate {

struct Imported {
  std::string policy;             // TOML that loads, also by `include`; "" where nothing could be read
  std::vector<std::string> lost;  // what could not be carried over, each with its line
};

// How importers come to what the file names.
struct ImportSource {
  std::string prefix;  // of the names of all rules, so that two outputs do not clash; "" for none
  // The content of another file; nothing where it cannot be read.
  std::function<std::optional<std::string>(const std::string& path)> read = [](const std::string&) {
    return std::optional<std::string>();
  };
};

// Settings of Postfix on which the meaning of an access table hangs.
struct AccessSettings {
  std::string as;               // what the keys are: "client", "helo", "sender" or "recipient"
  std::string type;             // "hash", "cidr", "pcre", "regexp" …; "": by the look of it
  std::string delimiters;       // recipient_delimiter
  bool dotted_parents = false;  // parent_domain_matches_subdomains lacks smtpd_access_maps
};

// access(5) of Postfix, one table.
Imported import_access(std::string_view text, const AccessSettings& settings, const ImportSource& source = {});
// The output of `postconf -n`: all access tables that its restrictions name.
Imported import_postfix(std::string_view text, const ImportSource& source);
// The rule set of postfwd.
Imported import_postfwd(std::string_view text, const ImportSource& source = {});
// The YAML of policyd-rate-limit.
Imported import_policyd_rate_limit(const std::string& text, const ImportSource& source = {});
// A dump of cbpolicyd's database (SQL, as mysqldump, pg_dump and sqlite3 write it).
Imported import_cbpolicyd(std::string_view text, const ImportSource& source = {});
// A dump of iRedAPD's database.
Imported import_iredapd(std::string_view text, const ImportSource& source = {});
// ratelimit.conf of rspamd.
Imported import_rspamd(std::string_view text, const ImportSource& source = {});
// An ACL of Exim with `ratelimit =` conditions.
Imported import_exim(std::string_view text, const ImportSource& source = {});

}  // namespace replygate
