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
#include "policy/count/raise.h"
#include "policy/count/sighting.h"
#include "policy/data_source.h"
#include "policy/facts.h"
#include "policy/match.h"
#include "policy/rule_index.h"
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

// What a rule that holds answers: a refusal; or that no later rule is asked, and what the MTA shall do with the
// message; or nothing: it only adds header fields.
struct Accept {};
struct Hold {
  std::string reason;
};
struct Discard {};
struct Tag {};
using Outcome = std::variant<ReplySpec, Accept, Hold, Discard, Tag>;

// `header = { Name = "text" }`.
struct AddedHeader {
  std::string name;
  ReplyTemplate value;
};

// A harder reply for a key that keeps coming: once `after` refusals were given by the rule.
struct Escalation {
  Limit after;
  ReplySpec reply;
};

// Clients that greylisting takes for one: the hosts of one sender, whichever of them tries.
struct Pool {
  std::string name;
  std::shared_ptr<const TextSet> names;        // of client_name
  std::shared_ptr<const NetworkSet> networks;  // of client_ip
};

enum class Mode : std::uint8_t { enforce, observe };
enum class OnUnknown : std::uint8_t { skip, tempfail };
enum class OnStoreError : std::uint8_t { tempfail, accept, local };
enum class Count : std::uint8_t { accepted, attempts };

std::string_view to_string(Mode mode);
std::string_view to_string(OnUnknown on_unknown);
std::string_view to_string(OnStoreError on_store_error);
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
  static constexpr std::int64_t kWhole = 10000;  // 100 %

  std::size_t index = 0;  // in the policy
  std::string name;
  std::string was;  // a name that it had before; "": none
  Place place;
  Stage stage = Stage::connect;  // at which it is judged
  std::vector<Condition> when;
  std::vector<Condition> unless;
  std::vector<FactRef> per;
  bool limited = false;  // by limits or by greylisting; else the rule answers whenever it holds
  Limits limits;         // of keys without an override; may be empty for a unit that overrides alone have
  Overrides overrides;
  Count count = Count::accepted;
  std::int64_t warn_at = 0;  // percent of a limit; 0: never
  std::optional<Greylisting> greylist;
  std::vector<Pool> pools;
  std::vector<Escalation> escalate;  // ascending
  std::vector<AddedHeader> headers;  // of what is let through
  std::int64_t share = kWhole;       // of keys for which it is enforced; observed for others
  OnUnknown on_unknown = OnUnknown::tempfail;
  OnStoreError on_store_error = OnStoreError::tempfail;  // where its counters cannot be read
  Mode mode = Mode::enforce;
  Outcome outcome;

  FactSet facts = 0;  // that a condition, the key or the text names; set by Policy

  bool has_limits() const { return limited; }
  // Answers whenever it holds: for every key, and without anything to count.
  bool is_certain() const { return mode == Mode::enforce && share == kWhole && !has_limits(); }
  bool refuses() const { return std::holds_alternative<ReplySpec>(outcome); }
  // Some limit, its own or of an override, counts in this unit.
  bool counts(Unit unit) const;
  bool needs(Fact fact) const { return (facts & bit(fact)) != 0; }
  // Of conditions, key and texts, in no order, some perhaps twice.
  std::vector<FactRef> named_facts() const;
  bool names_recipient_facts() const;  // facts of one recipient; the count `recipients` is none
};

// What the MTA must send so that the rules of a policy can be judged.
struct Needs {
  bool size = false;                 // headers and body, for their size
  bool digest = false;               // subject and body
  std::vector<std::string> headers;  // fields that rules name, in lower case
  bool header_count = false;
  bool reply_at_headers = false;
  bool mailbox = false;  // how full the mailbox of each recipient is
  bool add_headers = false;
  bool hold = false;
  bool reply_at_connect = false;
  bool reply_at_helo = false;
  bool reply_at_mail = false;
  bool data = false;

  bool all_headers() const { return size || digest || header_count || !headers.empty(); }
  bool body() const { return size || digest; }
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

  bool operator==(const DoorBounds&) const = default;
};

// Where counters live.
struct StoreSettings {
  enum class Backend : std::uint8_t { memory, sqlite, redis };
  enum class Durability : std::uint8_t { window, commit };
  enum class Unusable : std::uint8_t { stop, memory };  // what a file that cannot be used at start leads to

  Backend backend = Backend::sqlite;
  std::string path = "/var/lib/replygate/state.db";
  Durability durability = Durability::window;
  Unusable if_unusable = Unusable::stop;
  std::int64_t max_keys = 1'000'000;
  Duration reservation_timeout = std::chrono::minutes(15);  // until what a dead session has reserved is given back

  // Of redis.
  std::vector<std::string> servers;  // addresses; the first that is a primary serves
  std::string user;                  // of an ACL; "": the default one
  std::string password_file;         // "": none
  bool tls = false;
  std::string ca_file;  // "": the system's authorities
  std::string prefix = "replygate";
  Duration timeout = std::chrono::milliseconds(50);  // for all that one command asks
  std::int64_t connections = 2;
  std::int64_t wait_replicas = 0;  // that must have what was counted
  std::int64_t hosts = 0;          // that count in the same servers; 0: not said

  bool operator==(const StoreSettings&) const = default;
};

// What the daemon keeps of its decisions, for `why` and the like.
struct HistorySettings {
  std::string path;  // a folder; "": `history` beside the last good policy, if there is such a place
  Duration keep = std::chrono::hours(14 * 24);
  std::int64_t records = 1'000'000;  // at most; 0: none is kept

  bool operator==(const HistorySettings&) const = default;
};

// What the daemon tells an admin of, by mail or to a web server; neither: nobody.
struct NotifySettings {
  enum class Event : std::uint8_t { warning, first_refusal, eviction, store };

  std::vector<std::string> to;
  std::string from;  // "": replygate@ the default domain
  std::string smtp = "inet:25@127.0.0.1";
  std::string webhook;  // http:// or https://
  std::vector<Event> on = {Event::warning, Event::first_refusal, Event::eviction, Event::store};
  Duration pause = std::chrono::hours(1);  // for one event of one key
  std::int64_t most_per_hour = 20;

  bool nobody() const { return to.empty() && webhook.empty(); }
  bool operator==(const NotifySettings&) const = default;
};

std::string_view to_string(NotifySettings::Event event);

// Where mailbox_used comes from; neither source nor service: it is unknown.
struct MailboxSource {
  std::optional<DataSource> source;  // lines or rows "user used limit"
  std::string quota_status;          // the address of Dovecot's service
  Duration timeout = std::chrono::seconds(2);

  bool none() const { return !source && quota_status.empty(); }
  bool operator==(const MailboxSource&) const = default;
};

// What the daemon needs to know besides the rules.
struct Settings {
  std::vector<std::string> listen = {"inet:8891@127.0.0.1"};
  Engine engine = Engine::asio;
  DoorBounds bounds;
  OnError on_error = OnError::tempfail;
  std::string policy_service;                       // "" : no second door
  std::vector<std::string> log_sinks = {"stdout"};  // "stdout", "journal", "syslog", "file:/path"
  LogFormat log_format = LogFormat::json;
  MailboxSource mailbox;
  StoreSettings store;
  std::string control;  // a Unix socket; "": in the daemon's run-time folder, if there is one
  std::string metrics;  // over HTTP; "": nowhere
  HistorySettings history;
  NotifySettings notify;
};

// Who we are.
struct Site {
  std::string default_domain = "localhost";  // canonical; completes addresses without a domain
  std::shared_ptr<const TextSet> local_domains;
  std::shared_ptr<const TextSet> relay_domains;
  std::shared_ptr<const NetworkSet> trusted_networks;
  unsigned ipv4_prefix = 24;
  unsigned ipv6_prefix = 64;
  Zone zone;                  // of local time
  bool relay_by_mta = false;  // the policy need not deny relaying
  std::string subaddress;     // characters that part a tag from the mailbox; "" keeps tags

  bool knows_domains() const;  // some local or relay domain is named
};

class Policy {
 public:
  Policy(Site site, Settings settings, std::vector<Rule> rules, std::string id, Raises raises = {});
  Policy(const Policy&) = delete;
  Policy& operator=(const Policy&) = delete;
  ~Policy() = default;

  const Site& site() const { return site_; }
  const Settings& settings() const { return settings_; }
  const std::vector<Rule>& rules() const { return rules_; }
  // As the policy counts them: parts of one rule at several stages are one.
  std::size_t named_rules() const;
  // The rules that are judged at a stage, in the order of the file.
  const std::vector<const Rule*>& rules_at(Stage stage) const { return index_at(stage).rules(); }
  const RuleIndex& index_at(Stage stage) const { return by_stage_[static_cast<std::size_t>(stage)]; }
  const std::string& id() const { return id_; }  // changes with the text of the policy
  const Needs& needs() const { return needs_; }
  // The rules that count what happens: units of counts_events().
  const std::vector<const Rule*>& rules_counting(Unit unit) const;

  // What an admin has granted beyond the limits of the rules.
  const Raises& raises() const { return raises_; }
  // The same policy with these grants, and an id that tells them.
  std::shared_ptr<const Policy> with(Raises raises) const;

  // Every rule with every default filled in, for people.
  std::string text() const;

 private:
  Site site_;
  Settings settings_;
  std::vector<Rule> rules_;
  std::array<RuleIndex, kStages.size()> by_stage_;
  std::string id_;
  Raises raises_;
  Needs needs_;
  std::vector<const Rule*> counting_refusals_;
  std::vector<const Rule*> counting_unknown_;
};

}  // namespace replygate
