#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace replygate {

// What one part of a message holds, decoded: text in UTF-8, without markup.
struct MessagePart {
  std::string type;  // "text/plain", "message/delivery-status", in lower case
  std::string text;  // at most kMostPartText octets
};

constexpr std::size_t kMostPartText = std::size_t{256} << 10U;
constexpr std::size_t kMostParts = 1000;

// A message as far as a reader of bounces needs it. Parts of the message that came back are left out.
struct ReadMessage {
  std::string from;  // as written
  std::string subject;
  std::string failed_recipients;   // X-Failed-Recipients
  std::string complainer;          // X-HmXmrOriginalRecipient of a message within
  bool from_nobody = false;        // Return-Path: <>
  bool replied_by_itself = false;  // Auto-Submitted: auto-replied
  bool from_list = false;          // List-Id or List-Unsubscribe: a newsletter, whatever its subject says
  std::vector<MessagePart> parts;
  // What reports and the message that came back hold, of those of them alone that came in a transfer encoding; at most
  // kMostPartText octets and a part.
  std::string decoded;
};

// Whether a text begins with the header of a message (RFC 5322), not with fields of a delivery report.
bool looks_like_message(std::string_view text);

// Never fails: what is no MIME is taken as text. Not to be called from two threads at once.
ReadMessage read_message(std::string_view text);

}  // namespace replygate
