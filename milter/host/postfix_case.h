#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "milter/host/postfix_address.h"
#include "milter/host/postfix_config.h"
#include "milter/host/postfix_tables.h"
#include "milter/host/postfix_text.h"
#include "milter/host/symptom.h"
#include "policy/proof/relay.h"
#include "policy/rules/policy.h"

// What check_postfix() looks at; each room adds what it finds.
namespace replygate {

struct PostfixCase {
  const PostfixSettings& settings;
  const PostfixService& service;  // with the values that hold for it
  const Policy& policy;
  const PostfixTables& tables;
  std::optional<RelayProof>& proof;  // once it was needed
  Symptoms symptoms = {};

  const std::string& at(std::string_view name) const { return service.values.at(name); }
  std::vector<PostfixServer> milters() const { return postfix_milters(at("smtpd_milters")); }
  void add(Symptom::Level level, std::string what, std::string mend) {
    symptoms.push_back({level, "postfix", std::move(what), std::move(mend)});
  }
  std::string set(std::string_view name, std::string_view value) const {
    return postfix_set(settings, service, name, value);
  }
  // Where main.cf has it right setup has nothing to do, and the service must stop to differ.
  std::string set_up(std::string_view name) const {
    return service.overridden.contains(name) ? postfix_unset(settings, service, name) : settings.setup;
  }
};

// Whether the service asks us, and lets us judge all mail.
bool has_no_milters(const PostfixService& service);
bool asks_us(const PostfixCase& c);
void check_postfix_asks(PostfixCase& c);

// Our place among the milters, and what happens when we are away.
bool waits_for_us(const PostfixCase& c);
void check_postfix_milter(PostfixCase& c);

// What strangers may do, and the second door.
void check_postfix_relaying(PostfixCase& c);

// What changes our replies, or refuses before we can.
void check_postfix_replies(PostfixCase& c);

// A port at which a content filter gives mail back.
bool takes_mail_back(const PostfixService& service, const PostfixSettings& settings);
void check_postfix_comes_back(PostfixCase& c);
// Mail that comes over no port.
void check_postfix_local(PostfixCase& c);

}  // namespace replygate
