#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "policy/proof/candidates.h"

namespace replygate {

// When a condition is asked. Facts that do not move have one value at all points.
using Point = std::uint32_t;

// A slot at a point, the conditions on it, and the values among which they choose. Built up by add(), then by build();
// immutable from then on.
class Variable {
 public:
  Variable(Slot slot, Point point, std::string header) : slot_(slot), point_(point), header_(std::move(header)) {}

  // The place of the condition in signatures.
  std::size_t add(const Condition& condition);
  void build(const Site& site);

  Slot slot() const { return slot_; }
  Point point() const { return point_; }
  const std::string& header() const { return header_; }
  bool is(Slot slot, Point point, const std::string& header) const;
  // A message may have several fields of one name: of each condition that must hold one of them makes it hold.
  bool many() const { return slot_ == Slot::header; }

  const std::vector<Pick>& picks() const { return picks_; }
  Truth truth(std::size_t pick, std::size_t condition) const {
    return static_cast<Truth>(signatures_[pick][condition]);
  }
  const Condition& condition(std::size_t index) const { return *conditions_[index]; }

  bool all() const { return all_; }  // false: values are missing that the conditions may want
  // Of the condition samples are known alone: globs and regular expressions.
  bool patterned(std::size_t condition) const { return traits_[condition].patterned; }
  // Every value that fulfils the condition is among the picks.
  bool listed(std::size_t condition) const { return traits_[condition].listed; }
  // Live sources may make the condition hold, not hold or be unknown, whatever the value.
  bool open(std::size_t condition) const { return !conditions_[condition]->live.empty(); }

 private:
  struct Traits {
    bool patterned = false;
    bool listed = false;
  };

  Signature signature(const Pick& pick, const Site& site) const;
  Traits traits_of(const Condition& condition) const;

  Slot slot_;
  Point point_;
  std::string header_;
  std::vector<const Condition*> conditions_;
  std::vector<Traits> traits_;
  std::vector<Pick> picks_;
  std::vector<Signature> signatures_;
  bool all_ = true;
};

}  // namespace replygate
