#include "milter/host/postfix_access.h"

#include <algorithm>
#include <array>

#include "milter/host/postfix_text.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using enum ToStranger;

// Addresses and domains that nobody has: who lets them pass lets all pass.
constexpr std::string_view kNobody = "203.0.113.77";
constexpr std::string_view kElsewhere = "replygate-doctor.invalid";

std::vector<std::string> probe_keys(std::string_view kind) {
  const std::string domain(kElsewhere);
  if (kind == "check_client_access") return {std::string(kNobody), "203.0.113", "203.0", "203", "unknown", domain};
  return {"somebody@" + domain, domain, "invalid", ".invalid", "somebody@"};
}

bool is_reply_code(std::string_view word) {
  return word.size() == 3 && (word[0] == '4' || word[0] == '5') && is_digit(word[1]) && is_digit(word[2]);
}

// The world tells an entry's key: anybody may call himself so.
bool is_forgeable(std::string_view kind) {
  return kind.starts_with("check_sender") || kind.starts_with("check_helo") ||
         kind == "check_reverse_client_hostname_access";
}

bool is_own_domain(std::string_view domain, const PostfixValues& values, const PostfixTables& tables) {
  for (const char* name : {"mydestination", "relay_domains", "virtual_alias_domains", "virtual_mailbox_domains"}) {
    for (const std::string& word : postfix_words(values.at(name))) {
      if (word.find(':') == std::string::npos ? equal_ignoring_case(word, domain)
                                              : !tables.look_up(word, {std::string(domain)}).value_or("").empty()) {
        return true;
      }
    }
  }
  return false;
}

// Of a recipient's key: one mailbox or domain elsewhere is a way through for all to it.
ToStranger passing_recipient(std::string_view key, const PostfixValues& values, const PostfixTables& tables) {
  if (key.ends_with('@')) return passes;  // "postmaster@": of every domain
  if (key.starts_with('/')) return unclear;
  const std::size_t at = key.find('@');
  const std::string_view domain = at == std::string_view::npos ? key : key.substr(at + 1);
  return is_own_domain(domain, values, tables) ? nothing : unclear;
}

ToStranger from_entries(std::string_view kind, const PostfixTables::Entries& entries, const PostfixValues& values,
                        const PostfixTables& tables) {
  ToStranger all = nothing;
  for (const auto& [key, value] : entries) {
    ToStranger one = access_value(value);
    if (one == denies) continue;
    if (one == passes && kind == "check_client_access") one = nothing;  // some clients that the admin trusts
    if (one == passes && kind == "check_recipient_access") one = passing_recipient(key, values, tables);
    if (one == passes) return passes;
    if (one == unclear) all = unclear;
  }
  return all;
}

}  // namespace

ToStranger access_value(std::string_view value) {
  static constexpr std::array<std::string_view, 5> kDenying = {"reject", "defer", "discard", "defer_if_permit",
                                                               "reject_unauth_destination"};
  static constexpr std::array<std::string_view, 9> kSilent = {"dunno", "hold", "filter", "prepend",        "redirect",
                                                              "bcc",   "info", "warn",   "defer_if_reject"};
  const std::string word = to_lower(value.substr(0, std::min(value.find_first_of(" \t,"), value.size())));
  if (word.empty()) return nothing;
  if (word == "ok" || word == "relay" || word == "permit") return passes;
  const bool bare = value.size() == word.size();  // a number without a text is no refusal
  if ((is_reply_code(word) && !bare) || std::ranges::find(kDenying, word) != kDenying.end()) return denies;
  if (std::ranges::all_of(word, is_digit)) return passes;
  return std::ranges::find(kSilent, word) != kSilent.end() ? nothing : unclear;
}

// Postfix takes no OK by servers of names or mail, which the sender of the mail runs himself. Certificates and logins
// are no strangers'.
ToStranger access_for_stranger(std::string_view kind, std::string_view table, const PostfixValues& values,
                               const PostfixTables& tables) {
  for (const std::string_view harmless :
       {"_mx_access", "_ns_access", "_a_access", "_ccert_access", "_sasl_access", "_etrn_access"}) {
    if (kind.ends_with(harmless)) return nothing;
  }
  const auto probed = is_forgeable(kind) ? std::string() : tables.look_up(table, probe_keys(kind));
  if (!probed) return unclear;
  if (const ToStranger does = access_value(*probed); does == passes || does == unclear) return does;
  if (table.starts_with("static:") || table.starts_with("proxy:static:")) {
    return access_value(tables.look_up(table, {}).value_or(""));
  }
  const auto entries = tables.entries(table);
  return entries ? from_entries(kind, *entries, values, tables) : unclear;
}

}  // namespace replygate
