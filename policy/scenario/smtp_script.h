#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "policy/decide/gate.h"
#include "policy/decide/session.h"
#include "policy/rules/policy.h"

namespace replygate {

// An SMTP dialogue as a file, for `replygate try --session`: what the client sends, one command a line. Lines of a
// server ("S: …", or a reply code) and lines that begin with '#' are passed over, so that a transcript can be pasted.
// Besides the commands of SMTP: CONNECT address [name], AUTH user [mechanism], STARTTLS [version], WAIT time.
struct ScriptStep {
  enum class Verb : std::uint8_t { connect, helo, starttls, auth, mail, rcpt, data, rset, quit, wait, other };

  Verb verb = Verb::helo;
  std::string text;                                          // the line, as it is to be shown
  std::string argument;                                      // address, name, login, path
  std::vector<std::string> parameters;                       // of MAIL and RCPT; the second argument of others
  std::vector<std::pair<std::string, std::string>> headers;  // of DATA
  std::string body;
  Duration wait{};
};

struct ScriptMistake {
  unsigned line = 0;
  std::string message;
};
std::variant<std::vector<ScriptStep>, ScriptMistake> parse_script(std::string_view text);

// What is known beside the dialogue; each may be null, and answers at once.
struct ScriptFacts {
  Mailboxes* mailboxes = nullptr;
  const DeadAddresses* dead = nullptr;
};

// Each step with the reply that the client gets: "250 2.0.0 Ok" where the policy lets it pass.
struct ScriptLine {
  std::string command;
  std::string reply;
};
std::vector<ScriptLine> play_script(const std::vector<ScriptStep>& steps, const std::shared_ptr<const Policy>& policy,
                                    Gate& gate, Instant now, const ScriptFacts& asked = {});

}  // namespace replygate
