#pragma once

#include <string>
#include <string_view>
#include <vector>

// What stands in sendmail.mc and in the sendmail.cf that m4 makes of it.
namespace replygate::sendmail {

// Lines that m4 reads: no comments.
std::string effective(const std::string& mc);

struct Filter {
  std::string name;
  std::string socket;  // "inet:8891@127.0.0.1", "local:/path"
  std::string flags;   // "T", "R", ""
  std::string timeouts;
};
// In the order in which they are asked. Of INPUT_MAIL_FILTER in sendmail.mc; of X lines in sendmail.cf.
std::vector<Filter> filters_in_mc(const std::string& mc);
std::vector<Filter> filters_in_cf(const std::string& cf);
// The list of filters that a later define or the option gives, blanks left out; "-" where there is none.
std::string filter_list_in_mc(const std::string& mc);
std::string filter_list_in_cf(const std::string& cf);

// A port on which the daemon listens.
struct DaemonPort {
  std::string options;  // as they stand there
  std::string name;     // for people: its name, or its port
  bool loopback = false;
  bool own_filters = false;  // asks these, and not those of all
  std::vector<std::string> filters;
};
std::vector<DaemonPort> ports_in_mc(const std::string& mc);
std::vector<DaemonPort> ports_in_cf(const std::string& cf);

bool has_feature(const std::string& mc, const std::string& cf, std::string_view name);
// Rules of the admin's that decide about recipients before Sendmail does.
bool has_own_recipient_rules(const std::string& mc, const std::string& cf);

}  // namespace replygate::sendmail
