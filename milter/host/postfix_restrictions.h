#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "milter/host/postfix_config.h"
#include "milter/host/postfix_tables.h"

namespace replygate {

// What one restriction does with a recipient elsewhere that a stranger names: a client outside of mynetworks, without
// login, who says whatever serves him.
enum class ToStranger : unsigned char { nothing, denies, passes, unclear };

struct PostfixRestriction {
  std::string list;    // "smtpd_relay_restrictions"
  std::string phrase;  // with what belongs to it: "check_recipient_access static:OK"
  ToStranger does = ToStranger::nothing;
};

// A list cut into restrictions with what belongs to each.
std::vector<std::string> restriction_phrases(std::string_view list);

// All restrictions up to RCPT, in the order in which Postfix asks them. `own_service`: our policy service as Postfix
// names it, which answers DUNNO at most.
std::vector<PostfixRestriction> postfix_restrictions(const PostfixValues& values, const PostfixTables& tables,
                                                     const std::string& own_service);

// What all of them together do.
struct PostfixPassage {
  ToStranger does = ToStranger::denies;  // never `nothing`
  PostfixRestriction by;                 // which lets him pass, or may; no phrase: none refuses
};
PostfixPassage stranger_passage(const std::vector<PostfixRestriction>& restrictions);

// smtpd_relay_restrictions as it should be: without what lets strangers pass, and with a refusal of relaying.
std::string mended_relay_list(const std::vector<PostfixRestriction>& restrictions);

// The parameter and its word that make every domain one of ours, so that no refusal of relaying applies; "" for none.
struct PostfixDomains {
  std::string name;  // "relay_domains"
  std::string word;  // "static:all"
};
PostfixDomains every_domain(const PostfixValues& values, const PostfixTables& tables);

// The first network of `mynetworks` that takes in half the world; "" for none.
std::string wide_network(std::string_view networks, const PostfixTables& tables);

}  // namespace replygate
