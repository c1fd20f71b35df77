#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>

#include "milter/door/latency.h"
#include "milter/door/per_thread.h"
#include "policy/base/stage.h"
#include "policy/rules/policy.h"

namespace replygate {

// How long the MTA waited for answers: at each stage, and for the refusals of each rule. Any thread.
class DecisionTimes {
 public:
  // `rule` may be null: nothing was refused.
  void note(Stage stage, const Rule* rule, std::chrono::nanoseconds took) {
    Cell& cell = cells_.mine();
    cell.stages[static_cast<std::size_t>(stage)].note(took);
    if (rule != nullptr) cell.note(rule->name, took);
  }

  Times at(Stage stage) const {
    Times sum;
    cells_.each([&](const Cell& cell) { cell.stages[static_cast<std::size_t>(stage)].add_to(sum); });
    return sum;
  }
  // Nothing where the rule has not refused yet.
  std::chrono::nanoseconds p99(const std::string& rule) const {
    Times sum;
    cells_.each([&](const Cell& cell) { cell.add_to(sum, rule); });
    return sum.quantile(0.99);
  }

 private:
  struct Cell {
    static constexpr std::size_t kMostRules = 1000;

    void note(const std::string& rule, std::chrono::nanoseconds took) {
      const std::lock_guard lock(mutex);
      const auto it = rules.find(rule);
      if (it != rules.end()) return it->second.note(took);
      if (rules.size() < kMostRules) rules[rule].note(took);
    }
    void add_to(Times& sum, const std::string& rule) const {
      const std::lock_guard lock(mutex);
      if (const auto it = rules.find(rule); it != rules.end()) sum.add(it->second);
    }

    std::array<Latency, kStages.size()> stages;
    mutable std::mutex mutex;
    std::map<std::string, Times> rules;  // guarded by mutex
  };

  PerThread<Cell> cells_;
};

}  // namespace replygate
