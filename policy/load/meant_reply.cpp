#include "policy/load/meant_reply.h"

#include <fmt/format.h>

#include "policy/catalogue/reply.h"
#include "policy/load/foreign.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {

std::string reply_as_table(std::string_view text) {
  const auto words = split(text, ' ');
  if (const auto alone = EnhancedCode::parse(text); alone && alone->severity != 2) {
    return fmt::format("{{ code = {}50, enhanced = \"{}\" }}", alone->severity, text);
  }
  if (const std::string_view foreign = help_for_reply(words.front()); words.size() > 1 && foreign.ends_with("50")) {
    return fmt::format("{{ code = {}, text = \"{}\" }}", foreign.substr(foreign.size() - 3),
                       trim(text.substr(words.front().size())));
  }
  const auto code = parse_count(words.front());
  if (words.size() < 2 || words.front().size() != 3 || !code || *code < 400 || *code > 599) return "";
  const auto enhanced = EnhancedCode::parse(words[1]);
  const std::string_view said = trim(text.substr(enhanced ? std::size_t{4} + words[1].size() : std::size_t{4}));
  return fmt::format("{{ code = {}{}{} }}", *code, enhanced ? fmt::format(", enhanced = \"{}\"", words[1]) : "",
                     said.empty() ? "" : fmt::format(", text = \"{}\"", said));
}

}  // namespace replygate
