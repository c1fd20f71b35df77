#include "policy/proof/witness.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/proof/candidates.h"
#include "policy/proof/vocabulary.h"

namespace replygate {
namespace {

constexpr std::size_t kMostEntries = 64;  // of a set that is looked at

// TLS and login decide on others, and a message has many header fields.
bool stands_alone(Slot slot) {
  switch (slot) {
    case Slot::tls_version:
    case Slot::tls_cipher:
    case Slot::tls_bits:
    case Slot::tls_subject:
    case Slot::tls_issuer:
    case Slot::mechanism:
    case Slot::mismatch:
    case Slot::header: return false;
    default: return true;
  }
}

std::string first_of(const PackedTexts& texts) { return texts.empty() ? std::string() : std::string(*texts.begin()); }

// "" where the set has none that is easily told.
std::string address_in(Fact fact, const TextSet& set) {
  const std::string exact = first_of(set.exact());
  const std::string tree = first_of(set.trees());
  switch (fact) {
    case Fact::sender_local:
    case Fact::recipient_local: return exact.empty() ? "" : exact + "@client.invalid";
    case Fact::sender_domain:
    case Fact::recipient_domain: return exact.empty() && tree.empty() ? "" : "x@" + (exact.empty() ? tree : exact);
    default: break;
  }
  if (!exact.empty()) return exact;
  const std::string domain = tree.empty() ? first_of(set.at_domains()) : tree;
  return domain.empty() ? "" : "x@" + domain;
}

// The first address of the first network.
Picks client_in(const NetworkSet& networks) {
  Picks result;
  networks.each_range([&](const IpAddress& first, const IpAddress&) {
    if (result.picks.empty()) result.picks.push_back({.text = {}, .ip = first});
  });
  return result;
}

Picks values_in(const Condition& condition, Slot slot, const Site& site) {
  const auto* texts = std::get_if<std::shared_ptr<const TextSet>>(&condition.matcher);
  const auto* networks = std::get_if<std::shared_ptr<const NetworkSet>>(&condition.matcher);
  const std::size_t entries = texts != nullptr ? (*texts)->entries() : networks != nullptr ? (*networks)->size() : 0;
  if (entries > kMostEntries || (texts != nullptr && !(*texts)->is_list())) return {};
  if (slot == Slot::sender || slot == Slot::recipient) {
    const std::string text = texts == nullptr ? "" : address_in(condition.fact.fact, **texts);
    if (!is_canonical_address(text, site)) return {};
    return {.picks = {{.text = text, .ip = {}}}};
  }
  if (slot == Slot::client && networks != nullptr) return client_in(**networks);
  if (condition.fact.fact == Fact::authenticated) return {.picks = {Pick(), {.text = "stranger", .ip = {}}}};
  const std::array conditions = {&condition};
  return candidates(slot, conditions, site, [](const Pick&) { return Signature(); });
}

bool holds_for_some(const Condition& condition, Slot slot, const Site& site) {
  const Picks values = values_in(condition, slot, site);
  return std::ranges::any_of(values.picks,
                             [&](const Pick& pick) { return truth_of(condition, slot, pick, site) == Truth::yes; });
}

}  // namespace

bool plainly_holds(const Rule& rule, const Site& site) {
  if (!rule.unless.empty()) return false;
  std::array<bool, static_cast<std::size_t>(Slot::none)> taken{};
  for (const Condition& condition : rule.when) {
    const Slot slot = slot_of(condition.fact.fact);
    const bool told = condition.fact.fact != Fact::external && stands_alone(slot);
    if (!told || std::exchange(taken[static_cast<std::size_t>(slot)], true)) return false;
    if (!holds_for_some(condition, slot, site)) return false;
  }
  return true;
}

}  // namespace replygate
