#include <fmt/format.h>

#include <algorithm>

#include "milter/host/postfix_case.h"

namespace replygate {
namespace {

using Level = Symptom::Level;

bool sends_out(const PostfixService& service) {
  return !service.values.at("content_filter").empty() || !service.values.at("smtpd_proxy_filter").empty();
}

std::string with_no_milters(const PostfixService& service) {
  auto words = postfix_words(service.values.at("receive_override_options"));
  words.emplace_back("no_milters");
  return postfix_joined(words, ",");
}

// It belongs to that service alone, whether it has the setting already or not.
std::string no_milters_for(const PostfixSettings& settings, const PostfixService& service) {
  PostfixService own = service;
  own.overridden.insert("receive_override_options");
  return postfix_set(settings, own, "receive_override_options", with_no_milters(service));
}

// The filter is a program that gives mail back through sendmail(1).
const PostfixService* piping_filter(const PostfixSettings& settings) {
  for (const PostfixService* pipe : settings.with_program("pipe")) {
    const std::string name = pipe->name.substr(0, pipe->name.find('/'));
    const bool used = std::ranges::any_of(settings.services, [&](const PostfixService& s) {
      const std::string& filter = s.values.at("content_filter");
      return filter == name || filter.starts_with(name + ":");
    });
    if (used && pipe->command.find("sendmail") != std::string::npos) return pipe;
  }
  return nullptr;
}

// The port has a name of its own, and some rule looks at names of ports.
bool is_known_to_rules(const PostfixCase& c) {
  return c.service.overridden.contains("milter_macro_daemon_name") &&
         std::ranges::any_of(c.policy.rules(), [](const Rule& rule) { return rule.needs(Fact::listener); });
}

const PostfixService* pickup(const PostfixSettings& settings) {
  const auto found = settings.with_program("pickup");
  return found.empty() ? nullptr : found.front();
}

void comes_back_by_pickup(PostfixCase& c, const PostfixService& filter, const PostfixService& from) {
  c.add(Level::warning,
        fmt::format("what the content filter {} gives back through sendmail is judged and charged a second time",
                    filter.name),
        no_milters_for(c.settings, from));
}

void pickup_is_off(PostfixCase& c, const PostfixService& from) {
  c.add(Level::warning, fmt::format("{} has no_milters: mail of the sendmail command is not counted", from.name),
        from.overridden.contains("receive_override_options")
            ? postfix_unset(c.settings, from, "receive_override_options")
            : postfix_set(c.settings, from, "receive_override_options", ""));
}

}  // namespace

bool takes_mail_back(const PostfixService& service, const PostfixSettings& settings) {
  return service.is_loopback() && !sends_out(service) &&
         std::ranges::any_of(settings.services, [](const PostfixService& s) { return sends_out(s); });
}

void check_postfix_comes_back(PostfixCase& c) {
  if (!asks_us(c) || is_known_to_rules(c)) return;
  c.add(Level::warning, "what the content filter gives back is judged and charged a second time",
        no_milters_for(c.settings, c.service));
}

void check_postfix_local(PostfixCase& c) {
  const PostfixService* from = pickup(c.settings);
  const PostfixService* filter = piping_filter(c.settings);
  const bool off = from != nullptr && has_no_milters(*from);
  const bool asked = own_milter(postfix_milters(c.at("non_smtpd_milters")), c.settings, c.policy) != nullptr;
  if (filter != nullptr) {
    if (asked && from != nullptr && !off) comes_back_by_pickup(c, *filter, *from);
  } else if (!asked && !postfix_address(c.policy, c.settings).empty()) {
    c.add(Level::warning, "non_smtpd_milters does not name replygate: mail of the sendmail command is not counted",
          c.set_up("non_smtpd_milters"));
  } else if (off) {
    pickup_is_off(c, *from);
  }
}

}  // namespace replygate
