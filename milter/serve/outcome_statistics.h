#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "milter/outcome/outcome.h"

namespace replygate {

// Outcomes since the start, in numbers. Bounded: of too many kinds the rest counts as those of the provider "(other)".
// Any thread.
class OutcomeStatistics final : public OutcomeListener {
 public:
  // kind, reason, classification, provider
  using Kind = std::tuple<std::string, std::string, std::string, std::string>;
  using Figures = std::map<Kind, std::int64_t>;

  void hear(const MailOutcome& outcome) override;
  Figures figures() const;

 private:
  mutable std::mutex mutex_;
  Figures figures_;  // guarded by mutex_
};

}  // namespace replygate
