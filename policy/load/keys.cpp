#include "policy/load/keys.h"

#include <algorithm>
#include <array>

namespace replygate {
namespace {

constexpr std::string_view kTop[] = {"version", "milter", "policy_service", "site",    "store",
                                     "log",     "keys",   "lists",          "replies", "rule"};
constexpr std::string_view kMilter[] = {"listen", "engine", "on_error", "mode"};
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

}  // namespace

std::span<const Section> sections() { return kSections; }

std::span<const std::string_view> keys_of(std::string_view name) {
  const auto it = std::ranges::find(kSections, name, &Section::name);
  return it == kSections.end() ? std::span<const std::string_view>() : it->keys;
}

}  // namespace replygate
