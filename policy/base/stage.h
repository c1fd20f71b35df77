#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace replygate {

// The points of an SMTP session at which rules are judged, in their order. `header` is the end of the header section,
// `message` the final dot; both are answered in reply to the final dot.
enum class Stage : std::uint8_t { connect, helo, mail, rcpt, data, header, message };

inline constexpr std::array kStages = {Stage::connect, Stage::helo,   Stage::mail,   Stage::rcpt,
                                       Stage::data,    Stage::header, Stage::message};

constexpr std::string_view to_string(Stage stage) {
  constexpr std::array<std::string_view, 7> names = {"connect", "helo", "mail", "rcpt", "data", "header", "message"};
  return names[static_cast<std::size_t>(stage)];
}

}  // namespace replygate
