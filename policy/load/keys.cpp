#include "policy/load/keys.h"

#include <algorithm>
#include <array>

namespace replygate {
namespace {

constexpr std::string_view kTop[] = {"version", "include", "milter",  "policy_service", "site",    "store", "log",
                                     "keys",    "mailbox", "lists",   "maps",           "replies", "rule",  "test",
                                     "control", "metrics", "history", "outcomes",       "notify",  "report"};
constexpr std::string_view kIncluded[] = {"lists", "maps", "replies", "rule", "test", "notify", "version"};
constexpr std::string_view kMilter[] = {"listen",        "engine",          "on_error",   "mode",
                                        "idle_timeout",  "packet_timeout",  "max_packet", "max_session_memory",
                                        "drain_timeout", "max_connections", "threads"};
constexpr std::string_view kPolicyService[] = {"listen"};
constexpr std::string_view kSite[] = {"local_domains", "relay_domains", "trusted_networks", "default_domain", "relay"};
constexpr std::string_view kStore[] = {
    "backend",       "path", "durability", "if_unusable", "max_keys", "reservation_timeout", "servers",       "user",
    "password_file", "tls",  "ca_file",    "prefix",      "timeout",  "connections",         "wait_replicas", "hosts"};
constexpr std::string_view kLog[] = {"decisions", "format"};
constexpr std::string_view kKeys[] = {"ipv4_prefix", "ipv6_prefix", "subaddress",
                                      "timezone",    "normalize",   "login_domain"};
constexpr std::string_view kMailbox[] = {"file", "sqlite", "query", "quota_status", "timeout"};
constexpr std::string_view kControl[] = {"listen"};
constexpr std::string_view kMetrics[] = {"listen"};
constexpr std::string_view kHistory[] = {"path", "keep", "max_records", "max_size"};
constexpr std::string_view kOutcomesSection[] = {"log",        "path",        "keep",    "max_recipients",
                                                 "dead_after", "dead_within", "dead_for"};
constexpr std::string_view kNotify[] = {"to",           "from",         "smtp",         "webhook",
                                        "on",           "pause",        "user_on",      "user_pause",
                                        "user_warning", "user_refusal", "most_per_hour"};
constexpr std::string_view kReport[] = {"to", "every", "at"};
constexpr std::string_view kUserText[] = {"subject", "text"};
constexpr std::string_view kReply[] = {"class", "code", "enhanced", "text"};
constexpr std::string_view kRule[] = {
    "name",    "when",  "unless",     "per",      "limit",  "count",          "burst",    "override",
    "warn_at", "reply", "escalate",   "greylist", "accept", "hold",           "discard",  "header",
    "mode",    "share", "on_unknown", "at",       "was",    "on_store_error", "at_least", "outcomes_of"};
constexpr std::string_view kGreylist[] = {"delay", "retry_within", "remember", "known_after", "pools"};
constexpr std::string_view kEscalate[] = {"after", "reply"};
constexpr std::string_view kList[] = {"file",  "sqlite", "query", "only",  "socketmap",
                                      "mysql", "pgsql",  "ldap",  "cache", "timeout"};
constexpr std::string_view kMap[] = {"file",  "sqlite", "query", "socketmap", "mysql",
                                     "pgsql", "ldap",   "cache", "timeout",   "default"};
constexpr std::string_view kTest[] = {"name", "at", "given", "rcpt", "repeat", "every", "outcome", "expect"};
constexpr std::string_view kGiven[] = {
    "client",     "client_name",   "port",       "listener",     "helo",        "user",        "mechanism",
    "from",       "tls",           "tls_cipher", "tls_bits",     "tls_subject", "tls_issuer",  "size",
    "parameters", "header",        "body",       "mailbox_used", "route",       "mta_refused", "local_submission",
    "lookup",     "recipient_dead"};
constexpr std::string_view kOutcome[] = {"hard_bounces", "blocked", "deferrals", "deliveries", "complaints"};
constexpr std::string_view kExpect[] = {"accepted", "refused",  "first", "last", "discarded", "held", "header",
                                        "code",     "enhanced", "class", "rule", "bounce",    "text"};
constexpr std::string_view kState[] = {"counter", "dead"};
constexpr std::string_view kCounter[] = {"rule", "limit", "key", "used", "of"};
constexpr std::string_view kExpectOne[] = {"code", "enhanced", "class", "rule", "bounce", "text"};

constexpr std::array kSections = {
    Section{"", kTop},
    Section{"included", kIncluded},
    Section{"milter", kMilter},
    Section{"policy_service", kPolicyService},
    Section{"site", kSite},
    Section{"store", kStore},
    Section{"log", kLog},
    Section{"keys", kKeys},
    Section{"mailbox", kMailbox},
    Section{"control", kControl},
    Section{"metrics", kMetrics},
    Section{"history", kHistory},
    Section{"outcomes", kOutcomesSection},
    Section{"notify", kNotify},
    Section{"report", kReport},
    Section{"user_text", kUserText},
    Section{"reply", kReply},
    Section{"rule", kRule},
    Section{"greylist", kGreylist},
    Section{"escalate", kEscalate},
    Section{"list", kList},
    Section{"map", kMap},
    Section{"test", kTest},
    Section{"given", kGiven},
    Section{"outcome", kOutcome},
    Section{"expect", kExpect},
    Section{"expect_one", kExpectOne},
    Section{"state", kState},
    Section{"counter", kCounter},
};

}  // namespace

std::span<const std::string_view> keys_of(std::string_view name) {
  const auto it = std::ranges::find(kSections, name, &Section::name);
  return it == kSections.end() ? std::span<const std::string_view>() : it->keys;
}

}  // namespace replygate
