#include "milter/import/postfwd/answer.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "milter/import/action.h"
#include "policy/base/re2_piece.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate::import::postfwd {
namespace {

using AnswerKind = Answer::Kind;

// What a text may name, and as what we know it.
constexpr std::pair<std::string_view, std::string_view> kVariables[] = {{"sasl_username", "user"},
                                                                        {"sender", "sender"},
                                                                        {"sender_domain", "sender_domain"},
                                                                        {"recipient", "recipient"},
                                                                        {"recipient_domain", "recipient_domain"},
                                                                        {"client_address", "client_ip"},
                                                                        {"client_name", "client_name"},
                                                                        {"helo_name", "helo"},
                                                                        {"size", "declared_size"},
                                                                        {"ratecount", "used"},
                                                                        {"encryption_protocol", "tls_version"},
                                                                        {"encryption_cipher", "tls_cipher"},
                                                                        {"sasl_method", "auth_mechanism"}};

// "$$name" and "$$(name)" as placeholders. Gives the name that is none of ours.
std::string put_placeholders(std::string& text) {
  static const RE2 variable(R"(\$\$\s*(?:\((\w+)\)|(\w+)))");
  std::string result;
  re2::StringPiece rest(text);
  while (true) {
    std::array<re2::StringPiece, 3> found;
    if (!variable.Match(rest, 0, rest.size(), RE2::UNANCHORED, found.data(), 3)) break;
    const std::string name(found[1].empty() ? found[2] : found[1]);
    const auto known = std::ranges::find_if(kVariables, [&](const auto& v) { return v.first == name; });
    if (known == std::end(kVariables)) return name;
    result.append(rest.data(), static_cast<std::size_t>(found[0].data() - rest.data()));
    result += fmt::format("{{{}}}", known->second);
    rest.remove_prefix(static_cast<std::size_t>(found[0].data() - rest.data()) + found[0].size());
  }
  text = result + std::string(rest);
  return "";
}

Answer lost(std::string why, bool shields) { return {.shields = shields, .why = std::move(why)}; }

// An action for Postfix, behind which postfwd asks no other rule.
Answer plain(std::string_view text, bool limited) {
  const Action action = action_of(text);
  Answer answer{.kind = AnswerKind::lines};
  std::string words = template_text(action.text);
  if (const std::string unknown = put_placeholders(words); !unknown.empty()) {
    return lost(fmt::format("replygate has no fact for $${}", unknown), action.kind != Action::Kind::refuse);
  }
  switch (action.kind) {
    case Action::Kind::refuse: answer.lines = {{"reply", reply_of(action.code, action.enhanced, words)}}; return answer;
    case Action::Kind::hold:
      answer.shields = true;
      answer.lines = {{"hold", hold_of(action)}};
      return answer;
    case Action::Kind::discard: answer.lines = {{"discard", "true"}}; return answer;
    case Action::Kind::none:
    case Action::Kind::permit:
    case Action::Kind::warn:
      if (limited) return lost("what is over a limit is let pass", true);
      answer.shields = true;
      if (action.kind == Action::Kind::warn) answer.unsaid = action.text;
      answer.lines = {{"accept", "true"}};
      return answer;
    case Action::Kind::prepend: {
      const std::string header = header_of(action.text);
      if (header.empty() || limited || action.text.find("$$") != std::string::npos)
        return lost("this header cannot be added", true);
      answer.shields = true;
      answer.lines = {{"header", header}, {"accept", "true"}};
      return answer;
    }
    case Action::Kind::other: break;
  }
  return lost("replygate has no such action", true);
}

std::optional<std::int64_t> count_of(std::string_view text) {
  const bool digits = !text.empty() && text.size() <= 12 && std::ranges::all_of(text, is_digit);
  return digits ? parse_count(text) : std::nullopt;
}

// "sasl_username/100/3600/450 4.7.1 slow down"
Answer counting(const std::string& command, std::string_view arguments) {
  std::array<std::string_view, 3> fields;
  for (std::string_view& field : fields) {
    const std::size_t slash = arguments.find('/');
    if (slash == std::string_view::npos)
      return {.kind = AnswerKind::nothing, .why = "postfwd ignores a limit with too few parts"};
    field = arguments.substr(0, slash);
    arguments.remove_prefix(slash + 1);
  }
  if (fields[0].starts_with("$$")) fields[0].remove_prefix(2);
  if (trim(arguments).empty()) return {.kind = AnswerKind::nothing, .why = "postfwd ignores a limit without an action"};
  if (command == "size") return lost("octets are what MAIL declares, once for each recipient", false);
  if (command.ends_with("5321")) return lost("replygate's keys do not tell letters by their case", false);
  const auto most = count_of(fields[1]);
  const auto seconds = count_of(fields[2]);
  if (!most || !seconds) return lost("a limit needs two whole numbers", false);
  if (*most == 0 || *seconds == 0) return {.kind = AnswerKind::nothing, .why = "postfwd ignores a limit of 0"};
  static const RE2 another(R"(\w[-\w]+\s*\(.*\))");
  if (RE2::FullMatch(to_piece(arguments), another)) return lost("the limit leads to another command", true);
  Answer answer = plain(arguments, true);
  if (answer.kind != AnswerKind::lines) return answer;
  answer.shields = false;
  answer.kind = AnswerKind::limit;
  answer.key = fields[0];
  answer.limit = fmt::format("{} recipients / {}", *most, format_duration(std::chrono::seconds(*seconds)));
  answer.at_data = command == "rcpt";
  return answer;
}

Answer called(const std::string& command, const std::string& arguments) {
  if (command == "rate" || command == "rcpt" || command == "size" || command.ends_with("5321")) {
    return counting(command, arguments);
  }
  if (command == "jump")
    return {.kind = AnswerKind::lost, .shields = false, .jump = arguments, .why = "rules are asked in their order"};
  if (command == "note" || command == "debug") return {.kind = AnswerKind::nothing, .why = "it logs alone"};
  if (command == "mail" || command == "sendmail") return lost("replygate sends no such mail; see [notify]", false);
  if (command == "wait") return lost("replygate lets nobody wait", false);
  if (command == "set") return lost("replygate has no variables", false);
  if (command == "score") return lost("replygate has no scores", false);
  if (command == "ask") return lost("replygate asks no other service", true);
  if (command == "quit") return lost("it ends postfwd", true);
  return {.kind = AnswerKind::nothing, .why = fmt::format("postfwd has no {}() and goes on", command)};
}

}  // namespace

Answer answer_of(std::string_view text) {
  static const RE2 command(R"((\w[-\w]+)\s*\(\s*(.*?)\s*\))");
  std::string name;
  std::string arguments;
  if (RE2::FullMatch(to_piece(text), command, &name, &arguments)) return called(name, arguments);
  return plain(text, false);
}

}  // namespace replygate::import::postfwd
