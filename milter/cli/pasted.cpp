#include "milter/cli/pasted.h"

#include <re2/re2.h>

#include "policy/mail/text.h"

namespace replygate {
namespace {

void append(std::string& text, std::string_view more) {
  more = trim(more);
  if (more.empty()) return;
  if (!text.empty()) text += ' ';
  text += more;
}

std::string host_in(const std::string& text) {
  static const re2::RE2 kSaid(R"((?i)\bhost\s+([^\s\[\]:]+)(?:\[[^\]]*\])?\s+(?:said|refused))");
  static const re2::RE2 kRemote(R"((?im)^\s*Remote-MTA:\s*(?:dns;)?\s*(\S+))");
  static const re2::RE2 kSmtp(R"((?i)\bfrom\s+([a-z0-9-]+(?:\.[a-z0-9-]+)+)(?:\[[^\]]*\])?:)");
  static const re2::RE2 kExim(R"((?i)SMTP error from remote (?:mail )?server[^:]*?host\s+(\S+))");
  std::string host;
  for (const re2::RE2* expression : {&kExim, &kSaid, &kRemote, &kSmtp}) {
    if (re2::RE2::PartialMatch(text, *expression, &host)) return host;
  }
  return "";
}

}  // namespace

std::optional<PastedReply> take_apart(std::string_view pasted) {
  static const re2::RE2 kReply(R"((?:^|[^0-9.])([2-5][0-9][0-9])([ -])[ ]*(?:#?(\d\.\d{1,3}\.\d{1,3})\b)?([^\r\n]*))");
  const std::string all(pasted);
  PastedReply result;
  int code = 0;
  std::string enhanced;
  std::string rest;
  std::string separator;
  re2::StringPiece input(all);
  while (re2::RE2::FindAndConsume(&input, kReply, &code, &separator, &enhanced, &rest)) {
    if (result.code != 0 && code != result.code) break;
    result.code = code;
    if (!result.enhanced) result.enhanced = EnhancedCode::parse(enhanced);
    append(result.text, rest);
    if (separator == " ") break;
  }
  if (result.code == 0) return std::nullopt;
  // A reply that was folded over several lines of a log or a report goes on in blank-indented lines.
  static const re2::RE2 kFolded(R"(\r?\n[ \t]+([^\r\n]*))");
  while (re2::RE2::Consume(&input, kFolded, &rest)) append(result.text, rest);
  result.host = host_in(all);
  return result;
}

}  // namespace replygate
