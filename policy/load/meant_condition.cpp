#include "policy/load/meant_condition.h"

#include <fmt/format.h>

#include "policy/load/foreign.h"
#include "policy/mail/ip.h"
#include "policy/rules/facts.h"

namespace replygate {
namespace {

// The fact that a pattern alone speaks of: a list of [site], an address, a name of a fact.
std::string condition_meant(std::string_view text) {
  if (text == "$trusted_networks" || IpNetwork::parse(text)) return fmt::format("client_ip = \"{}\"", text);
  if (text == "$local_domains" || text == "$relay_domains") return fmt::format("recipient_domain = \"{}\"", text);
  if (text.find('@') != std::string_view::npos) return fmt::format("sender = \"{}\"", text);
  const std::string_view called = fact_called(text);
  const FactInfo* fact = find_fact(called.empty() ? text : called);
  if (fact == nullptr) return fmt::format("FACT = \"{}\"", text);
  return fmt::format("{} = {}", fact->name, fact->kind == FactKind::boolean ? "true" : "…");
}

}  // namespace

std::string conditions_help(const Entry& entry) {
  const Node* node = &entry.value;
  if (node->kind == Node::Kind::array && node->items.size() == 1) node = &node->items.front();
  if (node->kind == Node::Kind::string) {
    return fmt::format("write {} = {{ {} }}", entry.key, condition_meant(node->string));
  }
  if (node->kind == Node::Kind::boolean && node->boolean)
    return fmt::format("remove {}: the rule then always holds", entry.key);
  return fmt::format("write for instance {} = {{ authenticated = true }}", entry.key);
}

}  // namespace replygate
