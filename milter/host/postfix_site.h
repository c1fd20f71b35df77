#pragma once

#include <string>
#include <vector>

#include "milter/host/postfix_config.h"
#include "milter/host/postfix_tables.h"

namespace replygate {

// What an MTA knows of its site, in the words of a policy's [site].
struct SiteDraft {
  std::vector<std::string> local_domains;
  std::vector<std::string> relay_domains;
  std::vector<std::string> trusted_networks;
  std::vector<std::string> left_out;  // what could not be read, a sentence each
};

// From mydestination, the virtual domains, relay_domains and mynetworks. Tables are read where postmap can list them.
SiteDraft site_of_postfix(const PostfixSettings& settings, const PostfixTables& tables);

}  // namespace replygate
