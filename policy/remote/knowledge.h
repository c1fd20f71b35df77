#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "policy/catalogue/codes.h"
#include "policy/catalogue/enhanced.h"
#include "policy/remote/reason.h"

// What is known of the replies of others, as plain values; conf/statuses/*.toml has them, conf/STATUSES.md explains.
namespace replygate {

// How a reason was found, surest first: by what a provider documents, by a phrase, by the registered meaning of the
// code, or by a vague word or code that usually means it.
enum class Ground : std::uint8_t { provider, phrase, code, guess };

// One entry: every condition that it states must hold.
struct StatusEntry {
  Ground ground = Ground::phrase;
  Reason reason = Reason::unspecified;
  std::size_t provider = 0;  // index, where the ground is a provider
  bool anywhere = false;     // the condition is characteristic enough without signs of the provider

  std::vector<int> codes;              // any of them; empty: every reply
  std::vector<EnhancedCode> enhanced;  // any of them, severity 0 stands for every class
  bool no_enhanced = false;            // only without an enhanced code
  std::vector<Command> at;             // what was answered; empty: whatever
  std::optional<Severity> severity;    // only for replies of this severity
  std::vector<std::string> phrases;    // RE2 on the text in lower case, addresses masked; empty: every text

  std::optional<bool> dead;  // other than the reason's
  std::optional<bool> retry;
  std::optional<Fault> fault;
  std::vector<std::string> advice;  // before the reason's
  std::string source;               // URL or standard
  std::string place;                // "google.toml:12"
  bool checked = false;             // the expressions are known to be good
};

struct Provider {
  std::string name;
  std::vector<std::string> hosts;  // domains of its servers
  std::vector<std::string> signs;  // RE2: wording that gives it away
  std::vector<std::string> advice;
  bool checked = false;  // as of entries
};

struct Knowledge {
  std::vector<Provider> providers;
  std::vector<StatusEntry> entries;  // first one that holds wins, within its ground
};

}  // namespace replygate
