#pragma once

#include <array>
#include <map>
#include <mutex>
#include <string>

#include "milter/door/latency.h"
#include "policy/base/stage.h"
#include "policy/rules/policy.h"

namespace replygate {

// How long the MTA waited for answers: at each stage, and for the refusals of each rule. Any thread.
class DecisionTimes {
 public:
  // `rule` may be null: nothing was refused.
  void note(Stage stage, const Rule* rule, std::chrono::nanoseconds took) {
    stages_[static_cast<std::size_t>(stage)].note(took);
    if (rule == nullptr) return;
    const std::lock_guard lock(mutex_);
    const auto it = rules_.find(rule->name);
    if (it != rules_.end()) return it->second.note(took);
    if (rules_.size() < kMostRules) rules_[rule->name].note(took);
  }

  const Latency& at(Stage stage) const { return stages_[static_cast<std::size_t>(stage)]; }
  // Nothing where the rule has not refused yet.
  std::chrono::nanoseconds p99(const std::string& rule) const {
    const std::lock_guard lock(mutex_);
    const auto it = rules_.find(rule);
    return it == rules_.end() ? std::chrono::nanoseconds(0) : it->second.quantile(0.99);
  }

 private:
  static constexpr std::size_t kMostRules = 1000;

  std::array<Latency, kStages.size()> stages_;
  mutable std::mutex mutex_;
  std::map<std::string, Latency> rules_;  // guarded by mutex_
};

}  // namespace replygate
