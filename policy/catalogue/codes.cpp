#include "policy/catalogue/codes.h"

#include <algorithm>
#include <array>

#include "policy/catalogue/codes_table.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 21> kCommandNames = {
    "connect", "HELO", "EHLO", "MAIL", "RCPT", "DATA", "message",  "RSET", "SEND", "SOML", "SAML",
    "VRFY",    "EXPN", "HELP", "NOOP", "QUIT", "TURN", "STARTTLS", "AUTH", "ETRN", "ATRN"};
constexpr std::array<std::string_view, 5> kSourceNames = {"esa", "faq", "modusgate", "wiki", "maxbulk"};

template <std::size_t N>
std::vector<std::string_view> names_in(const std::array<std::string_view, N>& all, std::uint32_t set) {
  std::vector<std::string_view> result;
  for (std::size_t i = 0; i < N; ++i) {
    if ((set >> i & 1U) != 0) result.push_back(all[i]);
  }
  return result;
}

}  // namespace

std::span<const ReplyCode> reply_codes() { return detail::code_rows(); }

const ReplyCode* find_reply_code(int code) {
  const auto rows = reply_codes();
  const auto it = std::ranges::lower_bound(rows, code, {}, &ReplyCode::code);
  return it != rows.end() && it->code == code ? &*it : nullptr;
}

Listing listing_of(const ReplyCode& code, CommandSet commands) {
  if (code.any_command || (code.commands & commands) != 0) return Listing::lists;
  if ((code.rfc5321 & commands) != 0) return Listing::rfc5321;
  return (code.customary & commands) != 0 ? Listing::custom : Listing::nobody;
}

Severity severity_of(int code) {
  if (code >= 500) return Severity::permanent;
  if (code >= 400) return Severity::transient;
  return code >= 300 ? Severity::intermediate : Severity::success;
}

Bounce bounce_of(int code) {
  if (code >= 500) return Bounce::hard;
  return code >= 400 ? Bounce::soft : Bounce::none;
}

std::string_view category_of(int code) {
  switch (code / 10 % 10) {
    case 0: return "syntax";
    case 1: return "information";
    case 2: return "connections";
    case 5: return "mail system";
    default: return "unspecified";
  }
}

std::string_view to_string(Severity severity) {
  constexpr std::array<std::string_view, 4> names = {"success", "intermediate", "transient", "permanent"};
  return names[static_cast<std::size_t>(severity)];
}

std::string_view to_string(Bounce bounce) {
  constexpr std::array<std::string_view, 3> names = {"none", "soft", "hard"};
  return names[static_cast<std::size_t>(bounce)];
}

std::string_view to_string(Command command) { return kCommandNames[static_cast<std::size_t>(command)]; }

std::string_view to_string(Source source) { return kSourceNames[static_cast<std::size_t>(source)]; }

std::string_view to_string(Listing listing) {
  constexpr std::array<std::string_view, 4> words = {"not listed", "listed", "listed by RFC 5321", "customary"};
  return words[static_cast<std::size_t>(listing)];
}

std::optional<Command> command_from(std::string_view name) {
  if (equal_ignoring_case(name, "dot") || equal_ignoring_case(name, "eom")) return Command::message;
  for (std::size_t i = 0; i < kCommandNames.size(); ++i) {
    if (equal_ignoring_case(kCommandNames[i], name)) return static_cast<Command>(i);
  }
  return std::nullopt;
}

std::vector<std::string_view> names(CommandSet commands) { return names_in(kCommandNames, commands); }

std::vector<std::string_view> names_of_sources(SourceSet sources) { return names_in(kSourceNames, sources); }

}  // namespace replygate
