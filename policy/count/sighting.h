#pragma once

#include <cstdint>

#include "policy/base/time.h"
#include "policy/count/packed.h"

namespace replygate {

// `greylist = { … }` of a rule.
struct Greylisting {
  Duration delay{};         // before which a retry is too early
  Duration retry_within{};  // since the first sighting; later ones begin anew
  Duration remember{};      // how long a key that has passed stays known, since it was last seen
  std::int64_t after = 0;   // a client passes without delay once this many keys of its have passed; 0: never
  bool operator==(const Greylisting&) const = default;
};

// What greylisting knows of one key. A value without a lock.
class Sighting {
 public:
  enum class State : std::uint8_t { fresh, early, passing, known };  // passing: known from now on

  State state(Instant now, const Greylisting& rule) const;
  // The key is seen; gives its state before.
  State see(Instant now, const Greylisting& rule);
  Instant first() const { return first_; }
  Instant idle_at() const { return idle_at_; }

  // As for Window.
  void save(PackedWriter& out, Duration shift) const;
  void load(PackedReader& in, Instant now);

 private:
  Instant first_{};
  Instant last_{};
  Instant idle_at_{};
  bool passed_ = false;
};

}  // namespace replygate
