#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "milter/import/access/access.h"
#include "milter/import/action.h"
#include "milter/import/postfix/main_cf.h"
#include "policy/mail/ip.h"
#include "policy/mail/text.h"

namespace replygate {
namespace import::postfix {
namespace {

using access::List;

// In the order in which Postfix asks them for a recipient, with smtpd_delay_reject.
struct Restrictions {
  std::string_view name;
  std::string_view at;
};
constexpr Restrictions kLists[] = {
    {"smtpd_client_restrictions", "rcpt"},         {"smtpd_helo_restrictions", "rcpt"},
    {"smtpd_sender_restrictions", "rcpt"},         {"smtpd_relay_restrictions", "rcpt"},
    {"smtpd_recipient_restrictions", "rcpt"},      {"smtpd_data_restrictions", "data"},
    {"smtpd_end_of_data_restrictions", "message"},
};

constexpr std::pair<std::string_view, std::string_view> kTables[] = {{"check_client_access", "client"},
                                                                     {"check_helo_access", "helo"},
                                                                     {"check_sender_access", "sender"},
                                                                     {"check_recipient_access", "recipient"},
                                                                     {"check_sasl_access", "sasl"}};
// Look-ups of what we do not know.
constexpr std::string_view kOtherTables[] = {"check_reverse_client_hostname_access",
                                             "check_client_mx_access",
                                             "check_client_ns_access",
                                             "check_client_a_access",
                                             "check_reverse_client_hostname_mx_access",
                                             "check_reverse_client_hostname_ns_access",
                                             "check_reverse_client_hostname_a_access",
                                             "check_helo_mx_access",
                                             "check_helo_ns_access",
                                             "check_helo_a_access",
                                             "check_sender_mx_access",
                                             "check_sender_ns_access",
                                             "check_sender_a_access",
                                             "check_recipient_mx_access",
                                             "check_recipient_ns_access",
                                             "check_recipient_a_access",
                                             "check_ccert_access",
                                             "check_policy_service",
                                             "check_etrn_access"};
// Restrictions with an argument that only refuse.
constexpr std::string_view kRefuseWithArgument[] = {"reject_rbl_client",      "reject_rhsbl_client",
                                                    "reject_rhsbl_helo",      "reject_rhsbl_sender",
                                                    "reject_rhsbl_recipient", "reject_rhsbl_reverse_client"};

// The fact that a table of access(5) is asked about.
std::string_view fact_of(std::string_view as) { return as == "client" ? "client_ip" : as == "sasl" ? "user" : as; }

// What to write for a table whose content is not there to be read.
std::string help_for_table(std::string_view type, std::string_view path, std::string_view as) {
  constexpr std::string_view kAsked[] = {"mysql", "pgsql", "ldap", "socketmap"};
  if (std::ranges::find(kAsked, type) != std::end(kAsked)) {
    return fmt::format(
        "it is asked while mail comes, and answers with actions; where all of them are alike, name it as a list: "
        "[lists] "
        "listed = \"{}:{}\", and a rule with when = {{ {} = \"$listed\" }}; or export its rows as a text",
        type, path, fact_of(as));
  }
  if (type == "sqlite") {
    return "its query stands in that file; where all its actions are alike, write [lists] listed = { sqlite = "
           "\"path\", "
           "query = \"select …\" }; or export its rows as a text";
  }
  if (type == "inline") return "write its entries into a file, and name that as texthash:/path";
  return fmt::format("a table of type {} is looked up when it is asked; export its rows as a text", type);
}

class AccessRules {
 public:
  AccessRules(std::string_view text, const ImportSource& source)
      : source_(source), main_(text), writer_("the access tables of Postfix", source) {
    const std::string style = main_.get("parent_domain_matches_subdomains").value_or("smtpd_access_maps");
    const auto words = MainCf::words(style);
    dotted_ = std::ranges::find(words, "smtpd_access_maps") == words.end();
  }

  Imported import() {
    if (main_.empty()) return {.policy = "", .lost = {"this is no output of postconf -n"}};
    for (const Restrictions& one : kLists) {
      const auto value = main_.get(one.name);
      if (!value || value->empty()) continue;
      writer_.remark(fmt::format("{}", one.name));
      list_ = {};
      list_.at = one.at;
      name_ = one.name;
      ended_ = false;
      write(MainCf::words(*value), 0);
    }
    access::write_late(writer_, late_);
    return writer_.finish();
  }

 private:
  bool is_class(std::string_view word) const {
    const auto classes = MainCf::words(main_.get("smtpd_restriction_classes").value_or(""));
    return std::ranges::find(classes, word) != classes.end();
  }

  void write(const std::vector<std::string>& words, int depth) {
    constexpr int kDeepestClass = 8;
    constexpr std::size_t kMostWords = 10'000;  // of a list, those of its classes included
    for (std::size_t i = 0; i < words.size() && !ended_; ++i) {
      if (++words_read_ > kMostWords) {
        writer_.lose("main.cf", "restrictions beyond the first 10000", "the list is too long");
        ended_ = true;
        return;
      }
      std::string word = words[i];
      if (word == "warn_if_reject" && i + 1 < words.size()) {
        list_.observe = true;
        word = words[++i];
      }
      const auto next = [&] { return i + 1 < words.size() ? words[++i] : std::string(); };
      const auto table = std::ranges::find_if(kTables, [&](const auto& t) { return t.first == word; });
      if (table != std::end(kTables)) {
        write_table(word, table->second, next());
      } else if (std::ranges::find(kOtherTables, word) != std::end(kOtherTables)) {
        stay(fmt::format("{} {}", word, next()), true);
      } else if (std::ranges::find(kRefuseWithArgument, word) != std::end(kRefuseWithArgument)) {
        stay(fmt::format("{} {}", word, next()), false);
      } else if (is_class(word) && depth < kDeepestClass) {
        write(MainCf::words(main_.get(word).value_or("")), depth + 1);
      } else {
        write_word(word);
      }
      list_.observe = false;
    }
  }

  // What Postfix goes on to do by itself.
  void stay(std::string_view what, bool may_permit) {
    writer_.remark(fmt::format("stays with Postfix: {}", what));
    if (may_permit && list_.hangs_on.empty()) list_.hangs_on = fmt::format("\"{}\", which may permit", what);
  }

  void write_word(const std::string& word) {
    if (word == "permit_mynetworks") return permit_networks();
    if (word == "permit_sasl_authenticated") return list_.permitted.push_back({"authenticated", {"true"}});
    if (word == "permit") {
      ended_ = true;
      return;
    }
    if (word == "reject" || word == "defer") return refuse_rest(word);
    stay(word, !(word.starts_with("reject_") || word.starts_with("defer_")));
  }

  // Who comes so far is refused: a list of those who may stands before it.
  void refuse_rest(const std::string& word) {
    if (!list_.hangs_on.empty()) {
      writer_.lose(name_, word, fmt::format("hangs on {}", list_.hangs_on));
    } else {
      RuleText rule;
      rule.when("recipients", "\">= 1\"");
      access::exempt(rule, list_);
      rule.add("at", toml_string(list_.at));
      rule.add("reply", reply_of(action_of(word)));
      if (const std::string why = writer_.rule(fmt::format("{}-{}", name_, word), rule); !why.empty())
        writer_.lose(name_, word, why);
    }
    ended_ = !list_.observe;
  }

  void permit_networks() {
    const auto value = main_.get("mynetworks");
    std::vector<std::string> networks;
    for (std::string word : MainCf::words(value.value_or(""))) {
      std::erase_if(word, [](char c) { return c == '[' || c == ']'; });
      const auto network = IpNetwork::parse(word);
      if (!network) {
        networks.clear();
        break;
      }
      networks.push_back(network->text());
    }
    if (networks.empty())
      return stay("permit_mynetworks, since mynetworks is not set, or no list of networks; see `postconf mynetworks`",
                  true);
    list_.permitted.emplace_back("client_ip", networks);
  }

  void lose_table(const std::string& what, std::string_view why) {
    writer_.lose(name_, what, why);
    if (list_.hangs_on.empty()) list_.hangs_on = what;
  }

  void write_table(const std::string& restriction, std::string_view as, std::string spec) {
    const std::string what = fmt::format("{} {}", restriction, spec);
    if (spec.starts_with("proxy:")) spec.erase(0, 6);
    const std::size_t colon = spec.find(':');
    const std::string type = colon == std::string::npos ? "" : spec.substr(0, colon);
    const std::string path = colon == std::string::npos ? spec : spec.substr(colon + 1);
    if (!type.empty() && !access::has_text(type)) return lose_table(what, help_for_table(type, path, as));
    const auto text = source_.read(path);
    if (!text) return lose_table(what, fmt::format("{} cannot be read here", path));
    if (list_.at != "rcpt" && as == "recipient") return lose_table(what, "behind RCPT there is no recipient");
    writer_.remark(what);
    const AccessSettings settings{.as = std::string(as),
                                  .type = type.empty() ? "hash" : type,
                                  .delimiters = main_.get("recipient_delimiter").value_or(""),
                                  .dotted_parents = dotted_};
    const std::string content = cleaned(*text);
    access::write_table(writer_, access::table_of(content, settings.type), settings, path + " ", list_, late_);
  }

  const ImportSource& source_;
  MainCf main_;
  bool dotted_ = false;
  List list_;
  std::string_view name_;
  bool ended_ = false;
  std::size_t words_read_ = 0;
  std::vector<access::Late> late_;
  Writer writer_;
};

}  // namespace
}  // namespace import::postfix

Imported import_postfix(std::string_view text, const ImportSource& source) {
  return import::postfix::AccessRules(import::cleaned(text), source).import();
}

}  // namespace replygate
