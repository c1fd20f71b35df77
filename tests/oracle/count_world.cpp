#include "tests/oracle/count_world.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace replygate::oracle::counts {
namespace {

constexpr std::array kUnits = {"connections", "messages", "recipients",        "distinct_recipients",
                               "B",           "refusals", "unknown_recipients"};
constexpr std::array kParts = {"client_ip", "client_net", "helo", "sender", "user", "recipient", "recipient_domain"};
constexpr std::array kPoints = {"connect", "helo", "mail", "rcpt", "data", "message"};
constexpr std::array kActs = {"connect", "helo", "mail", "rcpt", "finish", "reset", "quit", "lose"};

std::string part_of(Part part) { return kParts[static_cast<std::size_t>(part)]; }

std::string unit_of(What what) { return what == What::bytes ? "bytes" : kUnits[static_cast<std::size_t>(what)]; }

// The words that a text names; limits alone have what follows the first.
std::string reply_of(const Rule& rule, int code) {
  return fmt::format("{{ class = \"rate-limited\", code = {}, enhanced = \"{}.7.1\", text = \"{{rule}}{}\" }}", code,
                     code / 100,
                     rule.grey           ? " {retry_after}"
                     : rule.caps.empty() ? ""
                                         : " {used}, {limit}, {retry_after}");
}

std::string list_of(const std::vector<Cap>& caps) {
  std::vector<std::string> texts;
  for (const Cap& cap : caps) texts.push_back(fmt::format("\"{}\"", cap.text()));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string own_of(const Own& own) {
  if (own.all) return "\"unlimited\"";
  std::vector<std::string> texts;
  for (const What what : own.exempt) texts.push_back(fmt::format("\"unlimited {}\"", unit_of(what)));
  for (const Cap& cap : own.caps) texts.push_back(fmt::format("\"{}\"", cap.text()));
  return fmt::format("[{}]", fmt::join(texts, ", "));
}

std::string text_of(const Grey& grey) {
  std::vector<std::string> items;
  const auto add = [&](std::string_view key, const Wait& span) {
    if (!span.text.empty()) items.push_back(fmt::format("{} = \"{}\"", key, span.text));
  };
  add("delay", grey.delay);
  add("retry_within", grey.retry_within);
  add("remember", grey.remember);
  if (grey.known_after > 0) items.push_back(fmt::format("known_after = {}", grey.known_after));
  if (grey.pool) items.push_back(fmt::format("pools = [\"{}\"]", kNet));
  return fmt::format("greylist = {{ {} }}\n", fmt::join(items, ", "));
}

std::string text_of(const Rule& rule) {
  std::string text = fmt::format("[[rule]]\nname = \"{}\"\n", rule.name);
  std::vector<std::string> when;
  for (const auto& [part, value] : rule.when) when.push_back(fmt::format("{} = \"{}\"", part_of(part), value));
  if (!when.empty()) text += fmt::format("when = {{ {} }}\n", fmt::join(when, ", "));
  std::vector<std::string> per;
  for (const Part part : rule.per) per.push_back('"' + part_of(part) + '"');
  if (!per.empty()) text += fmt::format("per = [{}]\n", fmt::join(per, ", "));
  if (rule.grey) text += text_of(*rule.grey);
  if (!rule.caps.empty()) text += fmt::format("limit = {}\n", list_of(rule.caps));
  if (!rule.caps.empty() && rule.caps.front().burst > 0) text += fmt::format("burst = {}\n", rule.caps.front().burst);
  if (rule.attempts) text += "count = \"attempts\"\n";
  if (rule.observe) text += "mode = \"observe\"\n";
  if (rule.at) text += fmt::format("at = \"{}\"\n", kPoints[static_cast<std::size_t>(*rule.at)]);
  text += !rule.accept        ? fmt::format("reply = {}\n", reply_of(rule, rule.code))
          : rule.caps.empty() ? "accept = true\n"
                              : fmt::format("hold = \"{}\"\n", kHeld);
  std::vector<std::string> steps;
  for (const Step& step : rule.escalate) {
    steps.push_back(fmt::format("{{ after = \"{}\", reply = {} }}", step.after.text(), reply_of(rule, step.code)));
  }
  if (!steps.empty()) text += fmt::format("escalate = [{}]\n", fmt::join(steps, ", "));
  if (!rule.own.empty()) text += "[rule.override]\n";
  for (const auto& [key, own] : rule.own) text += fmt::format("\"{}\" = {}\n", key, own_of(own));
  return text;
}

}  // namespace

std::string net_of(const std::string& ip) { return ip.substr(0, ip.rfind('.')) + ".0/24"; }

std::string Cap::text() const {
  if (what == What::bytes) return fmt::format("{} kB / {}", most / 1000, period);
  return fmt::format("{} {} / {}", most, kUnits[static_cast<std::size_t>(what)], period);
}

std::string text_of(const Policy& policy) {
  std::string text = "version = 1\n[site]\nlocal_domains = [\"ours.example\"]\nrelay = \"mta\"\n";
  if (policy.berlin) text += "[keys]\ntimezone = \"Europe/Berlin\"\n";
  for (const Rule& rule : policy.rules) text += text_of(rule);
  return text;
}

std::string text_of(const Act& act) {
  return fmt::format("{}. {} {}{}{}{} (after {}s)", act.session, kActs[static_cast<std::size_t>(act.kind)], act.text,
                     act.user.empty() ? "" : " as " + act.user, act.mta_refused ? " (refused by the MTA)" : "",
                     act.octets > 0 ? fmt::format(" {} octets", act.octets) : "",
                     static_cast<double>(act.wait) / static_cast<double>(kSecond));
}

}  // namespace replygate::oracle::counts
