#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "milter/log/rendering.h"

namespace replygate {

// What was decided since the start, in numbers. Bounded whatever the traffic: nothing is kept of users, and of too many
// kinds the rest counts as "(other)". Any thread.
class Statistics final : public RecordListener {
 public:
  // rule, stage, code, classification
  using Kind = std::tuple<std::string, std::string, int, std::string>;
  struct RuleUse {
    std::int64_t hits = 0;            // refusals, and what it let through, held or discarded
    std::int64_t observed = 0;        // what it would have said
    std::int64_t warnings = 0;        // of warn_at
    std::int64_t unknown = 0;         // it could not be judged
    Instant last{};                   // hit or observed
    std::array<double, 2> fullest{};  // the highest share of a limit in use, in this span of five minutes and the last
    std::int64_t span = 0;
  };
  struct Figures {
    std::map<std::string, std::int64_t> transactions;  // by outcome
    std::map<std::string, std::int64_t> recipients;    // passed, refused, mta-refused
    std::map<Kind, std::int64_t> refusals;
    std::map<Kind, std::int64_t> observed;  // what would have been refused: in observe mode, or of local submission
    std::map<std::string, RuleUse> rules;
    std::int64_t evictions = 0;
  };

  void hear(Rendering& rendering) override;
  Figures figures() const;
  // Of the last five to ten minutes before `now`.
  static double fullest(const RuleUse& use, Instant now);

 private:
  void hear(const Verdict& verdict, const Record& record);
  void would(const Finding& finding, Instant now);
  void count(std::map<Kind, std::int64_t>& kinds, std::size_t most, const Finding& finding);
  RuleUse& use_of(const Rule& rule);
  void note_fullness(const LimitUse& limit, Instant now);

  mutable std::mutex mutex_;
  Figures figures_;  // guarded by mutex_
};

}  // namespace replygate
