#pragma once

#include <string>
#include <vector>

#include "milter/host/postfix_address.h"
#include "milter/host/postfix_config.h"
#include "milter/host/symptom.h"
#include "policy/rules/policy.h"

namespace replygate {

// What keeps Postfix from asking us, or from doing as the policy says, or lets strangers relay.
Symptoms check_postfix(const PostfixSettings& settings, const Policy& policy);

// Connects to each milter that Postfix asks and speaks its protocol.
Symptoms check_postfix_milters(const PostfixSettings& settings, const Policy& policy);

// A setting that the policy needs to be another one.
struct PostfixChange {
  std::string service;  // of master.cf; "": main.cf
  std::string name;
  std::string before;
  std::string after;
};
std::vector<PostfixChange> postfix_changes(const PostfixSettings& settings, const Policy& policy);
// What has Postfix ask us no more; addresses of other milters stay.
std::vector<PostfixChange> postfix_removal(const PostfixSettings& settings, const Policy& policy);

}  // namespace replygate
