#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "policy/scenario/demand.h"
#include "policy/scenario/past.h"

namespace replygate {

// By what limits may count: the login of who has one; of others the sender, and the client's network.
enum class KeyKind : std::uint8_t { user, sender, client_net };
inline constexpr std::array kKeyKinds = {KeyKind::user, KeyKind::sender, KeyKind::client_net};
std::string_view to_string(KeyKind kind);  // as a policy names the fact

// How many recipients each key has sent to, an hour and a day. Mail of the sendmail command, which no limit refuses, is
// left out. One thread.
class Census {
 public:
  static constexpr std::array kWindows = {Duration(std::chrono::hours(1)), Duration(std::chrono::hours(24))};

  void take(const PastTransaction& transaction);
  const DemandMeter& meter(KeyKind kind, std::size_t window) const {
    return meters_[static_cast<std::size_t>(kind)][window];
  }
  std::int64_t recipients() const { return recipients_; }
  Instant first() const { return first_; }
  Instant last() const { return last_; }

 private:
  using Meters = std::array<DemandMeter, 2>;
  void add(KeyKind kind, std::string_view key, Instant time, std::int64_t count, bool capped);

  std::array<Meters, 3> meters_{Meters{DemandMeter(kWindows[0]), DemandMeter(kWindows[1])},
                                Meters{DemandMeter(kWindows[0]), DemandMeter(kWindows[1])},
                                Meters{DemandMeter(kWindows[0]), DemandMeter(kWindows[1])}};
  std::int64_t recipients_ = 0;
  Instant first_{};
  Instant last_{};
};

}  // namespace replygate
