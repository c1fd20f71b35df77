#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/time.h"
#include "policy/rules/data_source.h"
#include "policy/rules/template.h"

// What the daemon needs to know besides the rules: no decision reads it. Values.
namespace replygate {

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
  Duration reservation_timeout =
      std::chrono::minutes(15);  // of redis: until what a dead host has reserved is given back

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
  std::int64_t records = 1'000'000;              // at most; 0: none is kept
  std::int64_t octets = std::int64_t{1} << 30U;  // of all files together, roughly

  bool operator==(const HistorySettings&) const = default;
};

// Where the daemon learns what became of the mail, and how much of that it keeps.
struct OutcomeSettings {
  std::string log;   // "journal", or the path of the MTA's log; "": it learns nothing
  std::string path;  // of the file that keeps it; "": `outcomes.db` beside the last good policy
  Duration keep = std::chrono::hours(14 * 24);
  std::int64_t recipients = 1'000'000;  // at most that are kept
  // An address is dead once its server has said so that often within that time, for so long from the last time on.
  std::int64_t dead_after = 1;
  Duration dead_within = std::chrono::hours(30 * 24);
  Duration dead_for = std::chrono::hours(90 * 24);

  bool operator==(const OutcomeSettings&) const = default;
};

// What is written to a user. Empty: what the daemon has for the event.
struct UserText {
  std::optional<ReplyTemplate> subject;
  std::optional<ReplyTemplate> text;

  bool operator==(const UserText&) const = default;
};

// What the daemon tells an admin of, by mail or to a web server, and a user by mail; none of them: nobody.
struct NotifySettings {
  enum class Event : std::uint8_t { warning, first_refusal, held, eviction, store, bounces, blocked };

  struct Users {
    std::vector<std::string> to;  // what becomes an address once {user} is the login
    std::vector<Event> on = {Event::warning, Event::first_refusal};
    Duration pause = std::chrono::hours(24);  // for one event of one user
    UserText warning;
    UserText refusal;

    bool operator==(const Users&) const = default;
  };

  std::vector<std::string> to;
  std::string from;  // "": replygate@ the default domain
  std::string smtp = "inet:25@127.0.0.1";
  std::string webhook;  // http:// or https://
  std::vector<Event> on = {Event::warning, Event::first_refusal, Event::held,   Event::eviction,
                           Event::store,   Event::bounces,       Event::blocked};
  Duration pause = std::chrono::hours(1);  // for one event of one key
  std::int64_t most_per_hour = 20;
  Users users;

  bool nobody() const { return to.empty() && webhook.empty() && users.to.empty(); }
  bool operator==(const NotifySettings&) const = default;
};

std::string_view to_string(NotifySettings::Event event);

// The report that the daemon sends by mail, by the MTA of [notify].
struct ReportSettings {
  enum class Every : std::uint8_t { day, week };

  std::vector<std::string> to;  // none: nobody
  Every every = Every::day;     // a week begins on Monday
  std::int64_t at = 6 * 60;     // minute of the local day

  bool operator==(const ReportSettings&) const = default;
};

std::string_view to_string(ReportSettings::Every every);

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
  OutcomeSettings outcomes;
  NotifySettings notify;
  ReportSettings report;
};

}  // namespace replygate
