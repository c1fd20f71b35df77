#include "policy/load/named_fact.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "policy/load/foreign.h"
#include "policy/load/meant.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

// "sender,client_ip", "sender|client_ip": as an array; "" where those are no facts.
std::string several_facts(std::string_view name) {
  std::vector<std::string_view> facts;
  const std::size_t sign = name.find_first_of(",|+&;/: ");
  if (sign == std::string_view::npos) return "";
  for (const std::string_view part : split(name, name[sign])) {
    if (trim(part).empty()) continue;
    const std::string_view called = fact_called(trim(part));
    facts.push_back(called.empty() ? trim(part) : called);
    if (!find_fact_ref(facts.back())) return "";
  }
  return array_of(facts);
}

std::string help_for_fact(std::string_view name) {
  constexpr std::string_view kNone[] = {"", "none", "global", "all", "total", "server", "site"};
  if (std::ranges::find(kNone, name) != std::end(kNone)) return "without per one counter is for all mail";
  if (name.starts_with("client_ip/")) {
    return fmt::format("write \"client_net\", and [keys] ipv4_prefix = {}", name.substr(name.find('/') + 1));
  }
  if (const std::string_view help = elsewhere(name); !help.empty()) return std::string(help);
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    const std::string_view fact = trim(name.substr(0, slash));
    if (find_fact_ref(fact) && parse_duration(trim(name.substr(slash + 1)))) {
      return fmt::format("write \"{}\": the period belongs to the limit", fact);
    }
  }
  if (const std::string array = several_facts(name); !array.empty()) return fmt::format("write {}", array);
  std::vector<std::string_view> names;
  for (const FactInfo& known : fact_table()) names.push_back(known.name);
  const std::string_view called = fact_called(name);
  const std::string_view meant = called.empty() ? nearest(name, names) : called;
  return meant.empty() ? "POLICY.md lists the facts" : fmt::format("did you mean \"{}\"?", meant);
}

}  // namespace

std::optional<FactRef> named_fact(Context& context, std::string_view name, const Region& at) {
  if (auto ref = find_fact_ref(name)) return ref;
  if (name.starts_with("header")) {
    context.error(Rg::unknown_fact, at, fmt::format("\"{}\" names no header field", name),
                  "write for instance header.Subject");
  } else {
    context.error(Rg::unknown_fact, at, fmt::format("there is no fact \"{}\"", name), help_for_fact(name));
  }
  return std::nullopt;
}

}  // namespace replygate
