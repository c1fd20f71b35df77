#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "policy/scenario/replayer.h"

namespace replygate {

// What another policy would have changed: counts by rule and key, with an example each. Bounded. One thread.
class ReplayReport final : public Replayer::Listener {
 public:
  struct Example {
    Instant time;
    std::string ref;  // "" where the source has none
    std::string recipient;
    std::string sender;
    PastAnswer was;
    PastAnswer now;
    std::string text;
    std::string use;
  };
  struct Key {
    std::int64_t recipients = 0;
    Example first;
  };
  struct ByRule {
    std::string place;
    std::int64_t recipients = 0;
    boost::unordered_flat_map<std::string, Key> keys;
    std::int64_t of_other_keys = 0;  // recipients; keys beyond the most that are kept
  };
  struct Change {
    std::int64_t recipients = 0;
    std::map<std::string, ByRule> rules;
  };

  // What came before `since` fills counters, and is not compared.
  explicit ReplayReport(Instant since) : since_(since) {}
  void replayed(const Replayed& replayed) override;

  std::int64_t recipients = 0;  // that were compared
  std::int64_t warming = 0;     // recipients before `since`
  std::int64_t left = 0;        // taken as they were
  std::int64_t same = 0;
  Change refused;   // newly
  Change accepted;  // newly, by the rule that had refused
  Change other;     // another reply, or by another rule
  Change observed;  // what rules in observe mode would have refused of what passes
  Instant first{};
  Instant last{};

 private:
  static void note(Change& change, const std::string& rule, const std::string& place, const Replayed& replayed);

  Instant since_;
};

}  // namespace replygate
