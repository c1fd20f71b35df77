#include <fmt/format.h>

#include <set>

#include "milter/host/milter_greeting.h"
#include "milter/host/postfix.h"
#include "milter/host/postfix_text.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

struct AskedMilter {
  PostfixServer server;
  std::string action;  // when it is away

  auto operator<=>(const AskedMilter& other) const { return server.address <=> other.server.address; }
};

void add_milters(const PostfixValues& values, const char* name, std::set<AskedMilter>& all) {
  for (const PostfixServer& server : postfix_milters(values.at(name))) {
    const auto own = server.options.find("default_action");
    all.insert({server, own == server.options.end() ? values.at("milter_default_action") : own->second});
  }
}

std::set<AskedMilter> asked_milters(const PostfixSettings& settings) {
  std::set<AskedMilter> all;
  for (const PostfixService& service : settings.services) {
    if (service.program == "smtpd") add_milters(service.values, "smtpd_milters", all);
    if (service.program == "cleanup") add_milters(service.values, "non_smtpd_milters", all);
  }
  return all;
}

std::string mend_for(const AskedMilter& milter, const PostfixSettings& settings, const Policy& policy) {
  if (own_milter({milter.server}, settings, policy) != nullptr) return "systemctl start replygate";
  if (was_own(milter.server.address, settings, policy)) return settings.setup;
  return fmt::format("start it, or remove it from smtpd_milters; if it was replygate's: {}", settings.setup);
}

}  // namespace

Symptoms check_postfix_milters(const PostfixSettings& settings, const Policy& policy) {
  Symptoms symptoms;
  for (const AskedMilter& milter : asked_milters(settings)) {
    const MilterGreeting greeting = greet_milter(plain_address(milter.server.address, settings));
    if (greeting.answered) continue;
    const bool open = milter.action == "accept";
    if (greeting.forbidden) {
      symptoms.push_back({Level::warning, "postfix",
                          fmt::format("the milter {} was not tried: only root may", milter.server.address),
                          "run doctor as root"});
      continue;
    }
    symptoms.push_back({open ? Level::warning : Level::error, "postfix",
                        fmt::format("no milter answers at {}: {}; all mail {}", milter.server.address, greeting.why,
                                    open ? "passes it by" : "is turned away"),
                        mend_for(milter, settings, policy)});
  }
  return symptoms;
}

}  // namespace replygate
