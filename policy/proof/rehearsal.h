#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/proof/timeline.h"

namespace replygate {

// Plays a counterexample through the path that the daemon takes, with counters that begin empty. True where the
// recipient is accepted and the message is let through (or held) in the end; then the timeline tells what was played.
// Limits of rules that hold mail are filled, by open sessions or by messages to somebody else, who is greylisted tries
// again, and for rules with a share clients and senders are tried, if need be. Reads no clock; any thread.
class Rehearsal {
 public:
  explicit Rehearsal(const Policy& policy) : policy_(policy) {}

  bool relays(Timeline& timeline);
  // What was played, as an SMTP dialogue in one line.
  std::string text(const Timeline& timeline) const;

 private:
  class Dialogue;
  static std::vector<std::string> fillers_of(const Timeline& timeline);
  bool relays_with(Dialogue& dialogue, const std::string& filler);
  bool plays(const Timeline& timeline);
  bool plays_again(const Timeline& timeline);
  bool plays_filled(const Timeline& timeline);
  bool plays_behind(std::int64_t messages, const std::string& other, const Timeline& timeline);
  const std::vector<std::string>& senders();
  bool plays_as_another(Timeline& timeline);
  bool plays_in_share(Timeline& timeline);
  bool named(Fact fact) const;
  static std::string waits_text(const Timeline& timeline);
  std::string connection_text(const Timeline& timeline) const;
  std::string transaction_text(const Timeline& timeline) const;
  std::string refusals_text() const;
  std::string message_text(const Timeline& timeline) const;

  const Policy& policy_;
  std::int64_t commands_ = 0;  // played so far
  Duration again_after_{};     // that greylisting asked for
  std::string filler_;         // the recipient that stood before, "" for none
  std::int64_t before_ = 0;    // how often
  std::int64_t behind_ = 0;    // and how often behind
  // Refusals before it: of messages before it greets again, of messages before this one, of this recipient.
  std::array<std::int64_t, 3> refusals_{};
  std::optional<std::vector<std::string>> senders_;
  std::int64_t filled_ = 0;  // messages in sessions before
  std::string filled_to_;
  std::int64_t sessions_ = 1;  // of this kind at once, of which the last relayed
};

}  // namespace replygate
