#include "milter/host/postfix_restrictions.h"

#include <algorithm>
#include <array>

#include "milter/files.h"
#include "milter/host/postfix_access.h"
#include "milter/host/postfix_text.h"
#include "policy/mail/ip.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using enum ToStranger;

bool has_argument(std::string_view word) {
  for (const std::string_view start : {"check_", "reject_rbl_", "reject_rhsbl_", "permit_dnswl_", "permit_rhswl_"}) {
    if (word.starts_with(start)) return true;
  }
  return word == "sleep" || word == "warn_if_reject";
}

bool is_wide(std::string_view text) {
  std::string plain(text);
  std::erase_if(plain, [](char c) { return c == '[' || c == ']'; });
  const auto network = IpNetwork::parse(plain);
  const std::size_t slash = plain.find('/');
  if (!network || slash == std::string::npos) return false;
  const bool v6 = plain.find(':') != std::string::npos;
  return postfix_number(std::string_view(plain).substr(slash + 1), 128) < (v6 ? 7 : 8);
}

// "" where the word is no wide network; a file or table is looked into.
std::string wide_part(const std::string& word, const PostfixTables& tables) {
  if (word.starts_with('!')) return "";
  if (word.starts_with('/')) {
    std::string why;
    const auto text = read_file(word, why);
    return text ? wide_network(*text, tables) : "";
  }
  if (is_wide(word)) return word;
  const bool table = !word.starts_with('[') && word.find(":/") != std::string::npos;
  if (word.starts_with("static:")) return word;
  return table && !tables.look_up(word, {"203.0.113.77"}).value_or("").empty() ? word : "";
}

// Walks through restrictions as one that is no friend of theirs.
class Walk {
 public:
  Walk(const PostfixValues& values, const PostfixTables& tables, const std::string& own_service)
      : values_(values), tables_(tables), own_service_(own_service) {}

  ToStranger of(const std::string& phrase, std::string_view list, int depth = 0) const {
    const auto words = postfix_words(phrase);
    const std::string word = to_lower(words.front());
    const std::string argument = words.size() > 1 ? words[1] : "";
    if (word == "warn_if_reject") {
      const ToStranger warned = of(phrase.substr(phrase.find(argument)), list, depth);
      return warned == denies ? nothing : warned;
    }
    if (word == "reject_unauth_destination" || word == "defer_unauth_destination") return unauth_destination(list);
    if (word == "reject" || word == "defer" || word == "defer_if_permit") return denies;
    if (word.starts_with("permit")) return permit(word);
    if (word == "check_policy_service") return policy_service(argument);
    if (word.starts_with("check_")) return access(word, argument, list, depth);
    if (word.find(':') != std::string::npos) return access(bare_kind(list), words.front(), list, depth);
    return restriction_class(words.front(), list, depth);
  }

 private:
  // Before RCPT there is no recipient to look at.
  ToStranger unauth_destination(std::string_view list) const {
    const bool late = list == "smtpd_relay_restrictions" || list == "smtpd_recipient_restrictions";
    if (!late && values_.at("smtpd_delay_reject") == "no") return nothing;
    return every_domain(values_, tables_).name.empty() ? denies : nothing;
  }

  // Whoever says he has a certificate of an authority that signs for everybody is no friend.
  ToStranger permit(const std::string& word) const {
    if (word == "permit" || word == "permit_naked_ip_address") return passes;
    if (word == "permit_mynetworks") return wide_network(values_.at("mynetworks"), tables_).empty() ? nothing : passes;
    if (word == "permit_mx_backup") return values_.at("permit_mx_backup_networks").empty() ? passes : nothing;
    if (word == "permit_tls_all_clientcerts") {
      const bool asked = values_.at("smtpd_tls_ask_ccert") == "yes" || values_.at("smtpd_tls_req_ccert") == "yes";
      return asked ? unclear : nothing;
    }
    if (word == "permit_tls_clientcerts") {
      return values_.at("relay_clientcerts").starts_with("static:") ? passes : nothing;
    }
    return nothing;
  }

  // Ours says DUNNO at most, as long as it is there; that another one does is not known.
  ToStranger policy_service(const std::string& argument) const {
    const PostfixServer server = postfix_server(argument);
    const auto own = server.options.find("default_action");
    const std::string& action =
        own == server.options.end() ? values_.at("smtpd_policy_service_default_action") : own->second;
    if (access_value(action) == passes) return passes;
    return server.address == own_service_ ? nothing : unclear;
  }

  ToStranger access(const std::string& kind, const std::string& table, std::string_view list, int depth) const {
    const auto name = std::string(
        postfix_words(without_braces(table)).empty() ? table : postfix_words(without_braces(table)).front());
    const ToStranger does = access_for_stranger(kind, name, values_, tables_);
    if (does != unclear || depth > 4) return does;
    const auto value = name.starts_with("static:") ? tables_.look_up(name, {}) : std::nullopt;
    return value ? list_of(*value, list, depth + 1) : unclear;
  }

  static std::string bare_kind(std::string_view list) {
    for (const std::string_view who : {"client", "helo", "sender"}) {
      if (list.find(who) != std::string_view::npos) return "check_" + std::string(who) + "_access";
    }
    return "check_recipient_access";
  }

  ToStranger restriction_class(const std::string& word, std::string_view list, int depth) const {
    const auto classes = postfix_words(values_.at("smtpd_restriction_classes"));
    if (std::ranges::find(classes, word) == classes.end() || depth > 4) return nothing;
    return list_of(values_.at(word), list, depth + 1);
  }

  ToStranger list_of(std::string_view text, std::string_view list, int depth) const {
    ToStranger so_far = nothing;
    for (const std::string& phrase : restriction_phrases(text)) {
      const ToStranger does = of(phrase, list, depth);
      if (does == passes || (does == denies && so_far == nothing)) return does;
      if (does == denies) return unclear;
      if (does == unclear) so_far = unclear;
    }
    return so_far;
  }

  const PostfixValues& values_;
  const PostfixTables& tables_;
  const std::string& own_service_;
};

}  // namespace

std::vector<std::string> restriction_phrases(std::string_view list) {
  std::vector<std::string> phrases;
  bool open = false;
  for (const std::string& word : postfix_words(list)) {
    if (open) {
      phrases.back() += " " + word;
    } else {
      phrases.push_back(word);
    }
    open = has_argument(to_lower(word));
  }
  return phrases;
}

std::vector<PostfixRestriction> postfix_restrictions(const PostfixValues& values, const PostfixTables& tables,
                                                     const std::string& own_service) {
  const bool relay_last = values.at("smtpd_relay_before_recipient_restrictions") == "no";
  const char* first = relay_last ? "smtpd_recipient_restrictions" : "smtpd_relay_restrictions";
  const char* second = relay_last ? "smtpd_relay_restrictions" : "smtpd_recipient_restrictions";
  std::vector<PostfixRestriction> all;
  const Walk walk(values, tables, own_service);
  for (const char* list :
       {"smtpd_client_restrictions", "smtpd_helo_restrictions", "smtpd_sender_restrictions", first, second}) {
    for (const std::string& phrase : restriction_phrases(values.at(list))) {
      all.push_back({list, phrase, walk.of(phrase, list)});
    }
  }
  return all;
}

PostfixPassage stranger_passage(const std::vector<PostfixRestriction>& restrictions) {
  PostfixPassage result{passes, {}};
  for (auto at = restrictions.begin(); at != restrictions.end();) {
    const auto end = std::find_if(at, restrictions.end(), [&](const auto& r) { return r.list != at->list; });
    const auto passing = std::find_if(at, end, [](const auto& r) { return r.does == passes; });
    const auto denying = std::find_if(at, passing, [](const auto& r) { return r.does == denies; });
    const auto doubtful = std::find_if(at, denying, [](const auto& r) { return r.does == unclear; });
    if (denying != passing && doubtful == denying) return {denies, *denying};
    if (denying != passing) result = {unclear, *doubtful};
    // The list that is there to refuse relaying tells most.
    const bool telling = result.by.phrase.empty() || at->list == "smtpd_relay_restrictions";
    if (passing != end && result.does == passes && telling) result.by = *passing;
    at = end;
  }
  return result;
}

std::string mended_relay_list(const std::vector<PostfixRestriction>& restrictions) {
  std::vector<std::string> before;
  std::vector<std::string> behind;
  for (const PostfixRestriction& r : restrictions) {
    if (r.list != "smtpd_relay_restrictions") continue;
    if (r.does == nothing && r.phrase != "reject_unauth_destination") before.push_back(r.phrase);
    if (r.does == unclear) behind.push_back(r.phrase);
  }
  if (before.empty()) before = {"permit_mynetworks", "permit_sasl_authenticated"};
  before.emplace_back("reject_unauth_destination");
  before.insert(before.end(), behind.begin(), behind.end());
  return postfix_joined(before);
}

PostfixDomains every_domain(const PostfixValues& values, const PostfixTables& tables) {
  for (const std::string name : {"relay_domains", "virtual_alias_domains", "virtual_mailbox_domains"}) {
    for (const std::string& word : postfix_words(values.at(name))) {
      const bool table = word.find(':') != std::string::npos;
      if (table && !tables.look_up(word, {"replygate-doctor.invalid"}).value_or("").empty()) return {name, word};
    }
  }
  return {};
}

std::string wide_network(std::string_view networks, const PostfixTables& tables) {
  for (const std::string& word : postfix_words(networks)) {
    if (std::string wide = wide_part(word, tables); !wide.empty()) return wide;
  }
  return "";
}

}  // namespace replygate
