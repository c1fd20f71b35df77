#pragma once

#include <boost/container/small_vector.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/rules/match.h"

namespace replygate {

struct Rule;

// The rules of one stage, and which of them may hold for given facts. Rules are found by one condition of their `when`:
// by texts and domains, or by networks; those that have no such condition are always among the result. Immutable.
class RuleIndex {
 public:
  using Positions = boost::container::small_vector<std::uint32_t, 32>;

  RuleIndex() = default;
  explicit RuleIndex(std::vector<const Rule*> rules);

  const std::vector<const Rule*>& rules() const { return rules_; }

  // Calls `visit` with each rule that may hold, in the order of the file, until it returns true.
  template <typename Visit>
  void each(const Facts& facts, Visit visit) const {
    if (!indexed_) {
      for (const Rule* rule : rules_) {
        if (visit(*rule)) return;
      }
      return;
    }
    Positions found = find(facts);
    for (const std::uint32_t position : found) {
      if (visit(*rules_[position])) return;
    }
  }

 private:
  using Lists = boost::unordered_flat_map<std::string, std::vector<std::uint32_t>, TextHash, std::equal_to<>>;

  // Rules that name texts of one fact.
  struct ByText {
    FactRef fact;
    Lists exact;
    Lists trees;
    Lists at_domains;
    Lists locals;
    std::vector<std::uint32_t> all;
  };
  // Rules that hold from an address on, up to the next entry.
  struct Stretch {
    IpAddress first;
    std::vector<std::uint32_t> rules;
  };

  Positions find(const Facts& facts) const;
  bool add(const Rule& rule, std::uint32_t position);
  void add_texts(const FactRef& fact, const TextSet& texts, std::uint32_t position);
  void seal_networks();
  static void find_texts(const ByText& index, const Facts& facts, Positions& found);
  static void find_text(const ByText& index, std::string_view given, Positions& found);
  void find_networks(const Facts& facts, Positions& found) const;

  std::vector<const Rule*> rules_;
  bool indexed_ = false;
  std::vector<std::uint32_t> always_;
  std::vector<ByText> texts_;
  std::vector<std::pair<std::uint32_t, const NetworkSet*>> networks_;  // of rules that live as long as this
  std::vector<Stretch> stretches_;                                     // ascending
};

}  // namespace replygate
