#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/catalogue/codes.h"
#include "policy/count/limit.h"
#include "policy/rules/facts.h"

// A transaction as tests and `replygate try` describe it, and what a test expects of it. Plain values.
namespace replygate {

struct Given {
  std::optional<IpAddress> client = IpAddress::v4(0xC0000201);  // 192.0.2.1
  std::string client_name = "unknown";
  std::int64_t port = 40000;
  std::string listener = "smtp";
  std::string helo = "client.example";
  std::string user;
  std::string mechanism = "PLAIN";  // of a user
  std::string from;
  Tls tls;
  std::int64_t size = 0;  // declared; the message is filled up to it
  std::vector<std::string> parameters;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::optional<std::int64_t> mailbox_used;  // percent, of every recipient
  std::optional<std::string> route;
  bool mta_refused = false;
  bool recipient_dead = false;
  bool local_submission = false;
  // What live sources say, by their names: keys with what is found; nothing at all where they do not answer. Those that
  // are not here know nothing.
  std::map<std::string, std::optional<std::map<std::string, std::string>>> lookups;
};

// What one recipient, or each of them, must get. What is absent may be anything.
struct ExpectedReply {
  std::optional<int> code;  // 250: accepted
  std::string enhanced;
  std::string classification;
  std::string rule;
  std::optional<Bounce> bounce;
  std::string text;  // a part of it

  bool empty() const {
    return !code && enhanced.empty() && classification.empty() && rule.empty() && !bounce && text.empty();
  }
};

struct Expected {
  std::optional<std::int64_t> accepted;
  std::optional<std::int64_t> refused;
  ExpectedReply each;
  ExpectedReply first;
  ExpectedReply last;
  std::optional<bool> discarded;
  std::optional<std::string> held;
  std::vector<std::pair<std::string, std::string>> headers;  // that are added, at least
};

// How many of the recipients that were kept came to what; which ones, see fates_of().
using Outcomes = std::vector<std::pair<Unit, std::int64_t>>;

// `[[test]]`.
struct Scenario {
  std::string name;
  std::string file;
  unsigned line = 0;
  Instant at{std::chrono::seconds(1767225600)};  // 2026-01-01
  Given given;
  std::vector<std::string> recipients;  // ranges are expanded
  std::int64_t repeat = 1;              // transactions, each in a session of its own
  Duration every{};                     // between them
  Outcomes outcomes;                    // of each, before the next
  Expected expected;
};

// "r{1..101}@example.org" is 101 addresses; a text without range is itself. Nothing where a range is not understood or
// gives more than 100,000, nor where the text is beyond 1,000 octets.
std::optional<std::vector<std::string>> expand_ranges(std::string_view text);

// RFC 3339, "2026-11-22T09:00:00Z" or with an offset; seconds and their fraction may be left away. Nothing for anything
// else.
std::optional<Instant> parse_time(std::string_view text);

}  // namespace replygate
