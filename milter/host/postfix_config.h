#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

namespace replygate {

// Parameters, expanded as postconf(1) expands them.
struct PostfixValues {
  std::map<std::string, std::string, std::less<>> all;

  const std::string& at(std::string_view name) const;  // "" for none
  bool operator==(const PostfixValues&) const = default;
};

// A program of master.cf that takes mail in.
struct PostfixService {
  std::string name;     // "submission/inet", as `postconf -P` names it; "": main.cf itself
  std::string program;  // "smtpd", "pickup", "cleanup" …
  std::string command;  // with its arguments
  bool chrooted = false;
  std::set<std::string, std::less<>> overridden = {};  // with -o
  PostfixValues values = {};

  bool is_loopback() const;  // listens to this host alone
};

// The Postfix on this host.
struct PostfixSettings {
  std::string folder;  // of main.cf; "": the standard one
  PostfixValues values;
  std::vector<PostfixService> services;
  std::string setup = "replygate setup postfix --apply";  // the command that has it ask us
  std::vector<std::string> written = {};                  // where it looks for us by our own setup, or has looked

  const std::string& at(std::string_view name) const { return values.at(name); }
  std::vector<const PostfixService*> with_program(std::string_view program) const;
  std::string notes() const;    // the file that has `written`
  bool chrooted() const;        // some smtpd runs in the queue directory
  PostfixService main() const;  // main.cf as if a service had it
};

// On failure the reason for people; "" where there is no Postfix.
tl::expected<PostfixSettings, std::string> read_postfix(const std::string& folder);

// The command that sets a parameter, in master.cf where the service overrides it there.
std::string postfix_set(const PostfixSettings& settings, const PostfixService& service, std::string_view name,
                        std::string_view value);
// The command that has the service take it from main.cf again.
std::string postfix_unset(const PostfixSettings& settings, const PostfixService& service, std::string_view name);

}  // namespace replygate
