#include "policy/load/keys.h"

#include <algorithm>
#include <array>

namespace replygate {
namespace {

constexpr std::string_view kTop[] = {"version", "milter", "policy_service", "site",    "store",
                                     "log",     "keys",   "lists",          "replies", "rule"};
constexpr std::string_view kMilter[] = {"listen",        "engine",          "on_error",   "mode",
                                        "idle_timeout",  "packet_timeout",  "max_packet", "max_session_memory",
                                        "drain_timeout", "max_connections", "threads"};
constexpr std::string_view kPolicyService[] = {"listen"};
constexpr std::string_view kSite[] = {"local_domains", "relay_domains", "trusted_networks", "default_domain"};
constexpr std::string_view kStore[] = {"backend"};
constexpr std::string_view kLog[] = {"decisions", "format"};
constexpr std::string_view kKeys[] = {"ipv4_prefix", "ipv6_prefix", "subaddress"};
constexpr std::string_view kReply[] = {"class", "code", "enhanced", "text"};
constexpr std::string_view kRule[] = {"name",  "when",     "unless", "per",  "limit",      "count",
                                      "reply", "override", "accept", "mode", "on_unknown", "at"};
constexpr std::string_view kList[] = {"file"};

constexpr std::array kSections = {
    Section{"", kTop},      Section{"milter", kMilter}, Section{"policy_service", kPolicyService},
    Section{"site", kSite}, Section{"store", kStore},   Section{"log", kLog},
    Section{"keys", kKeys}, Section{"reply", kReply},   Section{"rule", kRule},
    Section{"list", kList},
};

constexpr std::string_view kPlannedTop[] = {"include", "mailbox", "notify", "test"};
constexpr std::string_view kPlannedStore[] = {"path", "durability", "max_keys"};
constexpr std::string_view kPlannedKeys[] = {"timezone"};
constexpr std::string_view kPlannedRule[] = {"burst", "discard", "escalate", "greylist", "header",
                                             "hold",  "share",   "warn_at",  "was",      "on_store_error"};
constexpr std::string_view kPlannedList[] = {"sqlite", "query"};
constexpr std::string_view kPlannedFacts[] = {"digest", "header",  "header_count", "mailbox_used",
                                              "time",   "weekday", "session_age"};
constexpr std::string_view kPlannedUnits[] = {"distinct_recipients", "refusals", "unknown_recipients"};

constexpr std::array kPlanned = {
    Section{"", kPlannedTop},       Section{"store", kPlannedStore}, Section{"keys", kPlannedKeys},
    Section{"rule", kPlannedRule},  Section{"list", kPlannedList},   Section{"fact", kPlannedFacts},
    Section{"unit", kPlannedUnits},
};

}  // namespace

bool is_planned(std::string_view section, std::string_view word) {
  const auto it = std::ranges::find(kPlanned, section, &Section::name);
  return it != kPlanned.end() && std::ranges::find(it->keys, word) != it->keys.end();
}

std::span<const std::string_view> keys_of(std::string_view name) {
  const auto it = std::ranges::find(kSections, name, &Section::name);
  return it == kSections.end() ? std::span<const std::string_view>() : it->keys;
}

}  // namespace replygate
