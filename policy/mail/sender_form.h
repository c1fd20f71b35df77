#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace replygate {

// Ways in which senders put a part into an address that changes from message to message.
enum class SenderForm : std::uint8_t {
  batv,  // bounce address tag validation: prvs=0123456789=user@example.org
  srs,   // sender rewriting scheme of forwarders: SRS0=hash=tt=example.org=user@forwarder.example, and SRS1
  verp,  // variable envelope return paths of lists: bounce-1001-user=example.org@list.example
};
using SenderForms = std::uint8_t;
constexpr SenderForms bit(SenderForm form) { return static_cast<SenderForms>(1U << static_cast<unsigned>(form)); }

// "batv", "srs", "verp"; in the order of the enumeration.
std::vector<std::string_view> names_of(SenderForms forms);

// A canonical sender (or its local part) without what changes: one name for all messages of one sender. BATV gives the
// address that was tagged, SRS the one that was forwarded, VERP the address of the list. Anything else is as it was.
// Pure; any thread.
std::string steady_sender(std::string_view sender, SenderForms forms);

}  // namespace replygate
