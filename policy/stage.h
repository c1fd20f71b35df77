#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace replygate {

// The points of an SMTP session at which rules are judged, in their order. `message` is the final dot.
enum class Stage : std::uint8_t { connect, helo, mail, rcpt, data, message };

inline constexpr std::array kStages = {Stage::connect, Stage::helo, Stage::mail,
                                       Stage::rcpt,    Stage::data, Stage::message};

constexpr std::string_view to_string(Stage stage) {
  constexpr std::array<std::string_view, 6> names = {"connect", "helo", "mail", "rcpt", "data", "message"};
  return names[static_cast<std::size_t>(stage)];
}

}  // namespace replygate
