#pragma once

#include <array>
#include <boost/unordered/unordered_flat_map.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "policy/catalogue/classes.h"
#include "policy/count/limit.h"
#include "policy/facts.h"
#include "policy/match.h"
#include "policy/template.h"

// The compiled policy: immutable, shared by all threads, kept alive by the sessions that began with it.
namespace replygate {

// Where something stands in the policy; lines and columns from 1.
struct Place {
  std::string file;
  unsigned line = 0;
  unsigned column = 0;
  std::string text() const;  // "file:line"
};

struct ReplySpec {
  const Classification* classification = nullptr;
  int code = 0;
  EnhancedCode enhanced;
  ReplyTemplate text;
};

// What a rule that holds answers: a refusal, or that no later rule is asked.
struct Accept {};
using Outcome = std::variant<ReplySpec, Accept>;

enum class Mode : std::uint8_t { enforce, observe };
enum class OnUnknown : std::uint8_t { skip, tempfail };
enum class Count : std::uint8_t { accepted, attempts };

std::string_view to_string(Mode mode);
std::string_view to_string(OnUnknown on_unknown);
std::string_view to_string(Count count);

// The limits of one key; none: the key is exempt.
using Limits = std::vector<Limit>;

// Keys with limits of their own: the exact key before a pattern, patterns in the order of the file.
struct Overrides {
  boost::unordered_flat_map<std::string, Limits, TextHash, std::equal_to<>> exact;
  std::vector<std::pair<std::shared_ptr<const TextSet>, Limits>> patterns;

  const Limits* find(std::string_view key) const;  // null: none applies
};

// Judged at one stage. A rule whose limits are counted at several stages is several of these, with one name.
struct Rule {
  std::size_t index = 0;  // in the policy
  std::string name;
  Place place;
  Stage stage = Stage::connect;  // at which it is judged
  std::vector<Condition> when;
  std::vector<Condition> unless;
  std::vector<Fact> per;
  bool limited = false;  // false: the rule answers whenever it holds
  Limits limits;         // of keys without an override; may be empty for a unit that overrides alone have
  Overrides overrides;
  Count count = Count::accepted;
  OnUnknown on_unknown = OnUnknown::tempfail;
  Mode mode = Mode::enforce;
  Outcome outcome;

  FactSet facts = 0;  // that a condition, the key or the text names; set by Policy

  bool has_limits() const { return limited; }
  bool needs(Fact fact) const { return (facts & bit(fact)) != 0; }
  bool names_recipient_facts() const;  // facts of one recipient; the count `recipients` is none
};

// What the MTA must send so that the rules of a policy can be judged.
struct Needs {
  bool content = false;  // headers and body, for their size
  bool reply_at_connect = false;
  bool reply_at_helo = false;
  bool reply_at_mail = false;
  bool data = false;
};

enum class OnError : std::uint8_t { tempfail, accept };
enum class Engine : std::uint8_t { asio, libmilter };
enum class LogFormat : std::uint8_t { json, logfmt };

std::string_view to_string(Engine engine);

// What a peer at the milter socket may take, and how long. libmilter knows `idle` and `drain` alone.
struct DoorBounds {
  std::int64_t connections = 10000;
  std::int64_t packet = std::int64_t{1} << 20;           // octets
  std::int64_t session_memory = std::int64_t{16} << 20;  // octets that one connection may make us keep
  Duration idle = std::chrono::seconds(7210);            // between two packets
  Duration packet_time = std::chrono::seconds(20);       // for a packet begun, and for a reply to be read
  Duration drain = std::chrono::seconds(10);             // at a stop
  std::int64_t threads = 0;                              // 0: one for two cores, at most 4
};

// What the daemon needs to know besides the rules.
struct Settings {
  std::vector<std::string> listen = {"inet:8891@127.0.0.1"};
  Engine engine = Engine::asio;
  DoorBounds bounds;
  OnError on_error = OnError::tempfail;
  std::string policy_service;                       // "" : no second door
  std::vector<std::string> log_sinks = {"stdout"};  // "stdout", "file:/path"
  LogFormat log_format = LogFormat::json;
};

// Who we are.
struct Site {
  std::string default_domain = "localhost";  // canonical; completes addresses without a domain
  std::shared_ptr<const TextSet> local_domains;
  std::shared_ptr<const TextSet> relay_domains;
  std::shared_ptr<const NetworkSet> trusted_networks;
  unsigned ipv4_prefix = 24;
  unsigned ipv6_prefix = 64;
  std::string subaddress;  // characters that part a tag from the mailbox; "" keeps tags

  bool knows_domains() const;  // some local or relay domain is named
};

class Policy {
 public:
  Policy(Site site, Settings settings, std::vector<Rule> rules, std::string id);
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  ~Policy() = default;

  const Site& site() const { return site_; }
  const Settings& settings() const { return settings_; }
  const std::vector<Rule>& rules() const { return rules_; }
  // As the policy counts them: parts of one rule at several stages are one.
  std::size_t named_rules() const;
  // The rules that are judged at a stage, in the order of the file.
  const std::vector<const Rule*>& rules_at(Stage stage) const { return by_stage_[static_cast<std::size_t>(stage)]; }
  const std::string& id() const { return id_; }  // changes with the text of the policy
  const Needs& needs() const { return needs_; }

  // Every rule with every default filled in, for people.
  std::string text() const;

 private:
  Site site_;
  Settings settings_;
  std::vector<Rule> rules_;
  std::array<std::vector<const Rule*>, kStages.size()> by_stage_;
  std::string id_;
  Needs needs_;
};

}  // namespace replygate
