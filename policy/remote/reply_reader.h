#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "policy/remote/status.h"

// Finds an SMTP reply in what people paste: a line of a report or a log, or a reply as received. Pure; any thread;
// time linear in the length of the text.
namespace replygate {

// Where a reply stands in a text.
struct ReplyPlace {
  int code = 0;  // 0: an enhanced code alone
  std::optional<EnhancedCode> enhanced;
  std::size_t begin = 0;  // of the code
  std::size_t text = 0;   // what follows code and enhanced code
};

// Whether each line may begin with a reply, as in a transcript, or only the first one and those that a ':' announces,
// as in what people and programs write.
enum class Lines : std::uint8_t { replies, prose };

// The reply that counts. A code is taken from a reply's place alone: the begin of a line, or after ':', ';', '<<<', a
// quote, a bracket, or a word such as "said"; or where the enhanced code of its class follows. Of several the first
// permanent one counts, 503 last. Greetings and 354 are none. Nothing where there is none.
std::optional<ReplyPlace> find_reply(std::string_view text, Lines lines = Lines::replies);

// All that one text tells of one attempt. Without a reply, code and enhanced code stay empty and `text` is all of it.
RemoteStatus read_status(std::string_view text, Lines lines = Lines::replies);

// All in one line: runs of blanks and line ends become one blank, codes that only continue a reply are left out.
std::string one_line(std::string_view text, const ReplyPlace* reply);

}  // namespace replygate
