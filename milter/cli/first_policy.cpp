#include "milter/cli/first_policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/import/writer.h"

namespace replygate {
namespace {

constexpr std::string_view kRules = R"(
# Rules are asked in this order; the first that answers decides.
# RECIPES.md has more of them to paste.

[[rule]]
name  = "too-many-recipients"
when  = { recipients = "> 100" }
reply = "too-many-recipients"        # 453, for the excess recipients alone

[[rule]]
name    = "user-sending-quota"
when    = { authenticated = true }
per     = "user"
limit   = ["500 recipients / 1h", "2000 recipients / 1d"]
warn_at = "80%"
reply   = "quota-exceeded"           # 452, says when to try again

[[rule]]
name   = "client-rate"
unless = { client_ip = "$trusted_networks", authenticated = true }
per    = "client_net"
limit  = "300 messages / 1h"
reply  = "rate-limited"              # 451

[[rule]]
name  = "backscatter"
when  = { null_sender = true }
per   = "recipient"
limit = "20 messages / 1h"
reply = "bounces-blocked"            # 572

# What the policy must answer. `replygate test` plays these, and no policy is
# taken whose tests fail.
)";

constexpr std::string_view kTests = R"(
[[test]]
name   = "mail for us passes"
given  = {{ client = "203.0.113.25", from = "someone@sender.example" }}
rcpt   = "postmaster@{0}"
expect = {{ code = 250 }}

[[test]]
name   = "an account sends to a hundred recipients"
given  = {{ user = "user@{0}", from = "user@{0}" }}
rcpt   = "r{{1..100}}@elsewhere.example"
expect = {{ accepted = 100 }}
)";

std::string array(const std::vector<std::string>& entries) {
  std::string text;
  for (const std::string& entry : entries)
    text += fmt::format("{}{}", text.empty() ? "" : ", ", import::toml_string(entry));
  return '[' + text + ']';
}

}  // namespace

std::string first_policy(const SiteDraft& site, const std::string& notify) {
  std::string text = fmt::format(R"(# Which reply mail gets, and why. POLICY.md explains every key.
version = 1

[milter]
listen = "inet:8891@127.0.0.1"
# Records what the rules would refuse, and lets the mail pass. Remove this line
# to enforce them.
mode   = "observe"

[site]
local_domains    = {}
relay_domains    = {}
trusted_networks = {}
relay            = "mta"             # the MTA denies relaying
)",
                                 array(site.local_domains), array(site.relay_domains), array(site.trusted_networks));
  for (const std::string& left : site.left_out) text += fmt::format("# {}.\n", import::cleaned(left));
  text += "\n[store]\nbackend = \"sqlite\"\n\n[log]\ndecisions = \"journal\"\n";
  if (!notify.empty()) text += fmt::format("\n[notify]\nto = {}\n", import::toml_string(notify));
  const auto plain = std::ranges::find_if(site.local_domains, [](const std::string& d) { return !d.starts_with('.'); });
  const std::string domain = plain == site.local_domains.end() ? "example.org" : *plain;
  return text + std::string(kRules) + fmt::format(kTests, domain);
}

}  // namespace replygate
