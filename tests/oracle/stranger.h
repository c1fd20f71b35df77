#pragma once

#include <array>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "policy/decide/session.h"
#include "policy/rules/policy.h"

// What an oracle plays: sessions written down in full, and what became of them. Knows nothing of the solver.
namespace replygate::oracle {

struct Said {
  std::string helo;  // before MAIL; "": no new greeting
  Tls tls;
  std::string user;
  std::string sender;
  std::vector<std::string> parameters;
  std::array<std::int64_t, 6> waits{};  // seconds: before EHLO, MAIL, the first RCPT, DATA, the body, the end
  std::int64_t wait_last = 0;           // before the last RCPT
  std::vector<std::string> recipients;
  std::optional<std::string> route;  // of recipients that are not ours
  std::set<std::string> local;       // that the MTA calls local all the same
  bool mta_refuses_first = false;
  std::vector<Header> headers;
  std::int64_t fields = 1;
  std::int64_t size = 1000;
  std::string queue_id = "4abc";
  bool ends = true;  // false: aborted before DATA
};

struct Talk {
  std::string client = "203.0.113.7";
  std::string name = "unknown";
  std::int64_t port = 40000;
  std::string listener = "smtp";
  bool local_submission = false;
  bool delegated = false;  // through the second door
  bool stays = false;      // is still open when the next talk begins
  Instant begin;
  std::vector<Said> messages;
};

struct Outcome {
  bool relayed = false;
  std::set<std::string> answered;  // rules that held and were asked, or were unknown and answer that
};

// One store for all talks of a call.
Outcome play(const std::shared_ptr<const Policy>& policy, const std::vector<Talk>& talks);

// A talk as RG1701 prints it, in the ways in which it may be meant.
std::vector<std::vector<Talk>> parse(const std::string& printed, const Policy& policy);

std::string text(const Talk& talk);

}  // namespace replygate::oracle
