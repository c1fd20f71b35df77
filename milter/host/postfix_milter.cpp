#include <fmt/format.h>

#include <algorithm>

#include "milter/host/policy_needs.h"
#include "milter/host/postfix_case.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

// smtpd_milters with our entry as `change` makes it.
template <typename Change>
std::string milters_with(const PostfixCase& c, Change change) {
  auto milters = c.milters();
  const PostfixServer* own = own_milter(milters, c.settings, c.policy);
  change(milters[static_cast<std::size_t>(own - milters.data())]);
  return postfix_text(milters);
}

std::string moved(const PostfixCase& c, bool to_the_end) {
  auto milters = c.milters();
  const auto own = milters.begin() + (own_milter(milters, c.settings, c.policy) - milters.data());
  if (to_the_end) {
    std::rotate(own, own + 1, milters.end());
  } else {
    std::rotate(milters.begin(), own, own + 1);
  }
  return postfix_text(milters);
}

void order(PostfixCase& c, const std::vector<PostfixServer>& milters, const PostfixServer& own) {
  const FilterOrder order = filter_order(c.policy);
  if (!order.last.empty() && &own != &milters.back()) {
    c.add(Level::warning,
          fmt::format("{} is asked behind replygate: what it refuses is charged all the same, by the rule {}",
                      milters.back().address, order.last),
          c.set("smtpd_milters", moved(c, true)));
  }
  if (order.last.empty() && !order.first.empty() && &own != milters.data()) {
    c.add(Level::warning,
          fmt::format("{} is asked before replygate: what it refuses is not counted, by the rule {}",
                      milters.front().address, order.first),
          c.set("smtpd_milters", moved(c, false)));
  }
}

// "3.11.0" knows what "3.11" knows.
bool is_at_least_3_11(const std::string& version) {
  const std::size_t dot = std::min(version.find('.'), version.size());
  const std::int64_t major = postfix_number(version, 0);
  const std::int64_t minor = dot < version.size() ? postfix_number(std::string_view(version).substr(dot + 1), 0) : 0;
  return major > 3 || (major == 3 && minor >= 11);
}

struct Away {
  std::string option;  // "default_action" where it is set for us alone
  std::string action;
};

Away when_away(const PostfixCase& c, const PostfixServer& own) {
  const auto it = own.options.find("default_action");
  if (it != own.options.end()) return {"default_action", it->second};
  return {"", c.at("milter_default_action")};
}

bool waits(const PostfixCase& c, const std::string& action) {
  return action == "tempfail" || (action == "shutdown" && is_at_least_3_11(c.at("mail_version")));
}

std::string_view what_happens(const std::string& action) {
  if (action == "accept") return "let through unjudged";
  if (action == "quarantine") return "let through into the hold queue";
  if (action == "reject") return "refused for good";
  return "answered with 451, as this Postfix does not know that word";
}

void default_action(PostfixCase& c, const PostfixServer& own) {
  const Away away = when_away(c, own);
  const bool open = c.policy.settings().on_error == OnError::accept;
  if (waits(c, away.action) || (open && away.action == "accept")) return;
  const std::string mend =
      away.option.empty()
          ? c.set("milter_default_action", "tempfail")
          : c.set("smtpd_milters", milters_with(c, [](PostfixServer& m) { m.options["default_action"] = "tempfail"; }));
  c.add(away.action == "accept" || away.action == "shutdown" ? Level::warning : Level::error,
        fmt::format("{} = {}: with replygate down mail is {}",
                    away.option.empty() ? "milter_default_action" : "smtpd_milters, default_action", away.action,
                    what_happens(away.action)),
        mend);
}

void timeouts(PostfixCase& c, const PostfixServer& own) {
  const auto longest = std::chrono::duration_cast<std::chrono::seconds>(longest_wait(c.policy)).count() + 1;
  for (const std::string name : {"command_timeout", "content_timeout"}) {
    const auto it = own.options.find(name);
    const std::string text = it == own.options.end() ? c.at("milter_" + name) : it->second;
    if (postfix_seconds(text) > longest) continue;
    c.add(Level::error,
          fmt::format("milter_{} = {} is shorter than replygate may need for an answer, {} s", name, text, longest),
          it == own.options.end()
              ? c.set("milter_" + name, "30s")
              : c.set("smtpd_milters", milters_with(c, [&](PostfixServer& m) { m.options[name] = "30s"; })));
  }
}

// Version 6 lets a filter name the macros that it needs.
void protocol(PostfixCase& c) {
  const std::string& version = c.at("milter_protocol");
  if (version.empty() || postfix_number(version, 6) >= 6) return;
  c.add(Level::error,
        fmt::format("milter_protocol = {}: Postfix does not send the macros that replygate asks for", version),
        c.set("milter_protocol", "6"));
}

}  // namespace

bool waits_for_us(const PostfixCase& c) {
  const auto milters = c.milters();
  const PostfixServer* own = own_milter(milters, c.settings, c.policy);
  if (own == nullptr) return false;
  const std::string action = when_away(c, *own).action;
  return waits(c, action) || action == "reject";
}

void check_postfix_milter(PostfixCase& c) {
  const auto milters = c.milters();
  if (const PostfixServer* own = own_milter(milters, c.settings, c.policy)) {
    order(c, milters, *own);
    default_action(c, *own);
    timeouts(c, *own);
  }
  protocol(c);
}

}  // namespace replygate
