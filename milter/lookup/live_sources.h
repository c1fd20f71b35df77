#pragma once

#include <memory>
#include <string>
#include <vector>

#include "milter/log/troubles.h"
#include "policy/decide/lookups.h"
#include "policy/rules/policy.h"

namespace replygate {

// The live sources of all policies that serve. One thread waits for all of them: no decision does. Answers are kept as
// long as a source says; a key that is asked already is not asked again. A source that does not answer is asked once a
// second, and meanwhile everything that it is asked is unknown at once: then, and why, is trouble of "lookups".
// Any thread.
class LiveSources final : public Lookups {
 public:
  static constexpr std::size_t kMostAnswers = 100'000;  // that are kept of a source
  static constexpr std::size_t kMostOpen = 256;         // keys that one source is asked at once
  static constexpr std::size_t kLongestKey = 1024;
  static constexpr std::size_t kLongestAnswer = 10'000;
  // Of a longer one it is known that something was found, and no more: it is neither a name nor limits.
  static constexpr std::size_t kLongestText = 1000;

  // `troubles` outlives it.
  explicit LiveSources(Troubles& troubles);
  ~LiveSources() override;

  // Whoever waits is told that nothing is known, and so is everybody from now on.
  void end();
  // Sources are opened as they are asked. Those that the policy does not name are given up, until somebody asks them
  // again.
  void keep(const Policy& policy);

  std::optional<LiveAnswer> known(const LiveSource& source, std::string_view key) override;
  void ask(const LiveSource& source, std::string_view key, Told told) override;
  void misread(const LiveSource& source, std::string_view key) override;

 private:
  class Loop;
  std::unique_ptr<Loop> loop_;
};

// Live sources, answering before the call returns.
std::unique_ptr<Lookups> waiting_lookups(Troubles& troubles);

}  // namespace replygate
