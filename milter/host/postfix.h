#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/host/symptom.h"
#include "policy/load/socket.h"
#include "policy/policy.h"

namespace replygate {

// The settings of the Postfix on this host, as postconf(1) gives them.
struct PostfixSettings {
  std::string folder;                         // of main.cf; "": the standard one
  std::map<std::string, std::string> values;  // expanded
  bool chrooted = false;                      // some smtpd of master.cf runs in the queue directory
  std::vector<std::string> overriding;        // services of master.cf with a smtpd_milters of their own

  const std::string& at(std::string_view name) const;  // "" for none
};
// Nothing where there is no Postfix, or it cannot be asked.
std::optional<PostfixSettings> read_postfix(const std::string& folder);

// A milter in smtpd_milters: its address, as Postfix takes it, and what is set for it alone.
struct PostfixMilter {
  std::string address;  // "inet:127.0.0.1:8891"
  std::map<std::string, std::string> options;
};
std::vector<PostfixMilter> postfix_milters(std::string_view text);

// Our socket as Postfix must name it.
std::string postfix_address(const SocketAddress& listen, const PostfixSettings& settings);

// What keeps Postfix from asking us, or from doing as the policy says.
Symptoms check_postfix(const PostfixSettings& settings, const Policy& policy);

// A setting of main.cf that the policy needs to be another one.
struct PostfixChange {
  std::string name;
  std::string before;
  std::string after;
};
std::vector<PostfixChange> postfix_changes(const PostfixSettings& settings, const Policy& policy);

}  // namespace replygate
