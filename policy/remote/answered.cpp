#include "policy/remote/answered.h"

#include <array>

#include "policy/mail/text.h"

namespace replygate {
namespace {

struct Lead {
  std::string_view words;
  std::optional<Command> at;  // nothing: the command follows
};

constexpr std::array<Lead, 13> kLeads{{
    {"in reply to ", std::nullopt},
    {"did not like our ", std::nullopt},
    {"while sending ", std::nullopt},
    {"error from remote mail server after ", std::nullopt},
    {"error from remote mailer after ", std::nullopt},
    {"refused to talk to me", Command::connect},
    {"while receiving the initial server greeting", Command::connect},
    {"failed after I sent the message", Command::message},
    {"does not like recipient", Command::rcpt},
    {"but sender was rejected", Command::mail},
    {"[RCPT_TO]", Command::rcpt},
    {"[MAIL_FROM]", Command::mail},
    {"Error following RCPT command", Command::rcpt},
}};

bool begins(std::string_view text, std::string_view with) {
  return equal_ignoring_case(text.substr(0, with.size()), with);
}

std::optional<Command> command_at_begin(std::string_view text) {
  if (begins(text, "pipelined ")) text.remove_prefix(10);
  if (begins(text, "sending ")) text.remove_prefix(8);
  if (begins(text, "end of data") || begins(text, "final data") || begins(text, "end-of-data")) return Command::message;
  if (begins(text, "rcpt")) return Command::rcpt;
  if (begins(text, "mail")) return Command::mail;
  if (begins(text, "data")) return Command::data;
  if (begins(text, "ehlo")) return Command::ehlo;
  if (begins(text, "helo")) return Command::helo;
  if (begins(text, "auth")) return Command::auth;
  if (begins(text, "starttls")) return Command::starttls;
  if (begins(text, "initial connection")) return Command::connect;
  return std::nullopt;
}

bool is_host_octet(char c) { return is_digit(c) || is_alpha(c) || c == '.' || c == '-' || c == '_'; }

std::string_view name_at(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  std::size_t end = 0;
  while (end < text.size() && is_host_octet(text[end])) ++end;
  std::string_view name = text.substr(0, end);
  while (!name.empty() && name.back() == '.') name.remove_suffix(1);
  return name.find('.') == std::string_view::npos ? std::string_view() : name;
}

constexpr std::array<std::string_view, 8> kHostLeads{
    "host ",      "connect to ",      "conversation with ", "lost connection with ",
    "Server at ", "Remote-MTA: dns;", "Remote-MTA: DNS;",   "SMTP Server <"};

}  // namespace

std::optional<Command> answered_command(std::string_view text) {
  std::size_t last = 0;
  std::optional<Command> answered;
  for (const Lead& lead : kLeads) {
    const std::size_t place = text.find(lead.words);
    if (place == std::string_view::npos || (answered && place < last)) continue;
    const auto command = lead.at ? lead.at : command_at_begin(text.substr(place + lead.words.size()));
    if (!command) continue;
    answered = command;
    last = place;
  }
  return answered;
}

std::string host_of(std::string_view text) {
  for (const std::string_view lead : kHostLeads) {
    for (std::size_t place = text.find(lead); place != std::string_view::npos; place = text.find(lead, place + 1)) {
      if (place > 0 && is_alpha(text[place - 1])) continue;
      const std::string_view name = name_at(text.substr(place + lead.size()));
      if (!name.empty()) return std::string(name);
    }
  }
  const std::size_t liked =
      text.find("] did not like our ");  // DragonFly: "mx.example.org [192.0.2.1] did not like our …"
  return liked == std::string_view::npos ? "" : std::string(name_at(text));
}

}  // namespace replygate
