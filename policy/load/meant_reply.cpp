#include "policy/load/meant_reply.h"

#include <fmt/format.h>

#include "policy/catalogue/reply.h"
#include "policy/load/foreign.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {

namespace {

// "CODE-5.7.1 text" and Sendmail's "ERROR:5.7.1:CODE text", as "CODE 5.7.1 text"; "reject(text)" as "reject text".
std::string as_reply(std::string_view text) {
  std::string plain(text);
  if (plain.size() > 4 && plain[3] == '-') plain[3] = ' ';
  const auto parts = split(text, ':');
  if (parts.size() >= 3 && to_lower(parts[0]) == "error" && EnhancedCode::parse(parts[1])) {
    const std::string_view rest = text.substr(parts[0].size() + parts[1].size() + 2);
    return fmt::format("{} {} {}", rest.substr(0, 3), parts[1], rest.size() > 3 ? trim(rest.substr(3)) : "");
  }
  const std::size_t open = plain.find('(');
  if (open == std::string::npos || !plain.ends_with(')') || help_for_reply(plain.substr(0, open)).empty()) return plain;
  plain.pop_back();
  plain[open] = ' ';
  return plain;
}

}  // namespace

std::string reply_as_table(std::string_view written) {
  const std::string plain = as_reply(written);
  const std::string_view text = plain;
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
