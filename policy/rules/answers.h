#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy/rules/live_source.h"

namespace replygate {

// What a live source says of a key.
struct LiveAnswer {
  enum class State : std::uint8_t {
    untold,  // it did not answer, or failed
    none,    // it does not know the key
    found,
  };

  State state = State::untold;
  std::string text;  // of found

  static LiveAnswer none() { return {State::none, ""}; }
  static LiveAnswer found(std::string text) { return {State::found, std::move(text)}; }
  bool operator==(const LiveAnswer&) const = default;
};

// What live sources have said to one session, and what it still wants to know. The sources are those of its policy.
// Used by one thread at a time.
class Answers {
 public:
  struct Wanted {
    const LiveSource* source = nullptr;
    std::string key;
  };

  // Null where it is not known yet: it is among wanted() then. The pointer is good until the next tell().
  const LiveAnswer* find(const LiveSource& source, std::string_view key);
  void tell(const LiveSource& source, std::string key, LiveAnswer answer);

  const std::vector<Wanted>& wanted() const { return wanted_; }
  std::vector<Wanted> take_wanted() { return std::exchange(wanted_, {}); }

  // What a source has said cannot be understood as what it was asked for: it counts as not told.
  void misread(const LiveSource& source, std::string_view key);
  // Nothing is wanted, and all was understood.
  bool all_told() const { return wanted_.empty() && misread_.empty(); }
  std::vector<Wanted> take_misread() { return std::exchange(misread_, {}); }

  // Nothing is known any more.
  void forget() { told_.clear(); }
  std::size_t size() const { return told_.size(); }

 private:
  struct Told {
    const LiveSource* source = nullptr;
    std::string key;
    LiveAnswer answer;
  };

  std::vector<Told> told_;
  std::vector<Wanted> wanted_;
  std::vector<Wanted> misread_;
};

}  // namespace replygate
