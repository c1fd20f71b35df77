#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <set>

#include "milter/import/action.h"
#include "milter/import/pattern.h"
#include "milter/import/sql_dump.h"
#include "milter/import/writer.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace import::cbpolicyd {
namespace {

using Row = SqlDump::Row;

bool disabled(const Row& row) { return field(row, "disabled") == "1"; }

std::int64_t number_in(const Row& row, std::string_view column) {
  const std::string text = field(row, column);
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// One item of a source or a destination; several of them hold together.
struct Term {
  bool positive = true;
  std::string fact;
  std::vector<std::string> patterns;
};

struct Unknown {
  std::string why;
};

// Sender or recipient, as "user@domain", "@domain" or "user@".
bool is_mailbox(std::string_view text) {
  return std::ranges::count(text, '@') == 1 && text.find_first_of("*?$/\"% \t") == std::string_view::npos &&
         text.size() > 1;
}

class Policies {
 public:
  Policies(const SqlDump& dump, const ImportSource& source)
      : dump_(dump), writer_("the database of cbpolicyd", source) {}

  Imported import() {
    std::vector<const Row*> policies;
    for (const Row& row : dump_.rows("policies")) policies.push_back(&row);
    std::ranges::stable_sort(policies, {}, [](const Row* row) { return number_in(*row, "priority"); });
    for (const Row* policy : policies) {
      if (!disabled(*policy)) write_policy(*policy);
    }
    note_others();
    return writer_.finish();
  }

 private:
  using Terms = std::vector<Term>;

  std::vector<const Row*> of(std::string_view table, std::string_view column, const std::string& id) const {
    std::vector<const Row*> found;
    for (const Row& row : dump_.rows(table)) {
      if (field(row, column) == id && !disabled(row)) found.push_back(&row);
    }
    return found;
  }

  void write_policy(const Row& policy) {
    const auto quotas = of("quotas", "policyid", field(policy, "id"));
    if (quotas.empty()) return;
    const std::string where = fmt::format("policy \"{}\"", field(policy, "name"));
    const auto members = of("policy_members", "policyid", field(policy, "id"));
    if (members.empty()) return writer_.remark(fmt::format("{} has no members, and never applies", where));
    Terms terms;
    try {
      if (members.size() > 1) throw Unknown{"it has several members, which count together"};
      terms = terms_of(*members.front());
    } catch (const Unknown& unknown) {
      for (const Row* quota : quotas) lose(where, *quota, unknown.why);
      return;
    }
    for (const Row* quota : quotas) write_quota(where, terms, *quota);
  }

  Terms terms_of(const Row& member) {
    Terms terms;
    add_terms(field(member, "source"), true, terms);
    add_terms(field(member, "destination"), false, terms);
    std::set<std::string> facts;
    for (const Term& term : terms) {
      if (term.positive && !facts.insert(term.fact).second) throw Unknown{"two items on one fact must both match"};
    }
    return terms;
  }

  void add_terms(const std::string& list, bool source, Terms& terms) {
    if (list.empty() || equal_ignoring_case(list, "any")) return;
    for (std::string_view item : split(list, ',')) {
      const bool negated = item.starts_with('!');
      if (negated) item.remove_prefix(1);
      Term term = item.starts_with('%') ? group_of(std::string(item.substr(1)), source) : term_of(item, source);
      term.positive = term.positive != negated;
      terms.push_back(std::move(term));
    }
  }

  // Its members are alternatives.
  Term group_of(const std::string& name, bool source) {
    Term all;
    for (const Row& group : dump_.rows("policy_groups")) {
      if (field(group, "name") != name || disabled(group)) continue;
      for (const Row* member : of("policy_group_members", "policygroupid", field(group, "id"))) {
        const std::string item = field(*member, "member");
        if (item.starts_with('!') || item.starts_with('%'))
          throw Unknown{fmt::format("the group {} names groups, or what is not in it", name)};
        Term one = term_of(item, source);
        if (!all.fact.empty() && all.fact != one.fact)
          throw Unknown{fmt::format("the group {} has members of several kinds", name)};
        all.fact = one.fact;
        all.patterns.insert(all.patterns.end(), one.patterns.begin(), one.patterns.end());
      }
    }
    if (all.patterns.empty()) throw Unknown{fmt::format("the group {} has no members", name)};
    return all;
  }

  static Term term_of(std::string_view item, bool source) {
    if (source) {
      if (const auto network = IpNetwork::parse(item)) return {true, "client_ip", {network->text()}};
      if (item == "$*") return {true, "authenticated", {"true"}};
      if (item == "$-") return {true, "authenticated", {"false"}};
      if (item.starts_with('$') && item.find('*') == std::string_view::npos)
        return {true, "user", {exact_pattern(item.substr(1), Text::login)}};
      if (item == "@") return {true, "null_sender", {"true"}};
    }
    if (!is_mailbox(item)) throw Unknown{fmt::format("\"{}\" is no address, network or login", item)};
    return {true, source ? "sender" : "recipient", {std::string(item)}};
  }

  void lose(const std::string& where, const Row& quota, std::string_view why) {
    writer_.lose(where, fmt::format("quota \"{}\", track {}", field(quota, "name"), field(quota, "track")), why);
    if (field(quota, "lastquota") == "1" && hangs_on_.empty()) hangs_on_ = where;
  }

  // "Sender:user@domain" as the fact that is counted; "" for one counter.
  static std::optional<std::string> key_of(std::string_view track) {
    constexpr std::pair<std::string_view, std::string_view> kKeys[] = {{"policy", ""},
                                                                       {"sender:user@domain", "sender"},
                                                                       {"sender:@domain", "sender_domain"},
                                                                       {"sender:user@", "sender_local"},
                                                                       {"recipient:user@domain", "recipient"},
                                                                       {"recipient:@domain", "recipient_domain"},
                                                                       {"recipient:user@", "recipient_local"},
                                                                       {"senderip:/32", "client_ip"},
                                                                       {"saslusername", "user"}};
    const auto key = std::ranges::find_if(kKeys, [&](const auto& k) { return equal_ignoring_case(k.first, track); });
    return key == std::end(kKeys) ? std::nullopt : std::optional<std::string>(key->second);
  }

  void write_quota(const std::string& where, const Terms& terms, const Row& quota) {
    if (!hangs_on_.empty()) return lose(where, quota, fmt::format("hangs on {}", hangs_on_));
    const auto key = key_of(field(quota, "track"));
    if (!key) return lose(where, quota, "replygate has no such key");
    const Action action = action_of(fmt::format("{} {}", field(quota, "verdict"), field(quota, "data")));
    if (action.kind != Action::Kind::refuse && action.kind != Action::Kind::hold &&
        action.kind != Action::Kind::discard) {
      return lose(where, quota, "replygate has no such verdict");
    }
    for (const Row* limit : of("quotas_limits", "quotasid", field(quota, "id")))
      write_limit(where, terms, quota, *key, action, *limit);
    if (field(quota, "lastquota") == "1") exempt_later(where, terms);
  }

  void write_limit(const std::string& where, const Terms& terms, const Row& quota, const std::string& key,
                   const Action& action, const Row& limit) {
    const std::int64_t most = number_in(limit, "counterlimit");
    const std::int64_t period = number_in(quota, "period");
    const std::string what = fmt::format("quota \"{}\", {} {}", field(quota, "name"), field(limit, "type"), most);
    if (!equal_ignoring_case(field(limit, "type"), "MessageCount"))
      return writer_.lose(where, what, "octets are counted once for each recipient, and compared before they come");
    if (most <= 0 || period <= 0 || most >= kMostQuantity || period > kLongestPeriod)
      return writer_.lose(where, what, "a limit needs a number and a period");
    RuleText rule;
    for (const Term& term : terms) apply(rule, term, term.positive);
    for (const Term& term : exempt_) rule.unless(term.fact, term.patterns);
    if (!key.empty()) rule.add("per", toml_string(key));
    rule.add("limit",
             toml_string(fmt::format("{} recipients / {}", most, format_duration(std::chrono::seconds(period)))));
    rule.add("burst", fmt::format("{}", most + 1));
    rule.add("at", "\"rcpt\"");
    if (action.kind == Action::Kind::refuse)
      rule.add("reply", reply_of(action.code, action.enhanced,
                                 template_text(action.text.empty() ? "Policy rejection; Message count quota exceeded"
                                                                   : action.text)));
    if (action.kind == Action::Kind::hold) rule.add("hold", hold_of(action, "quota exceeded"));
    if (action.kind == Action::Kind::discard) rule.add("discard", "true");
    writer_.remark(
        fmt::format("{}: cbpolicyd lets {} through, and then as many as drain away; burst says so", where, most + 1));
    if (const std::string why = writer_.rule(field(quota, "name"), rule); !why.empty()) writer_.lose(where, what, why);
  }

  static void apply(RuleText& rule, const Term& term, bool positive) {
    const bool bare = term.patterns.size() == 1 && (term.patterns[0] == "true" || term.patterns[0] == "false");
    if (positive) {
      rule.when(term.fact, bare ? term.patterns[0] : toml_list(term.patterns));
    } else {
      rule.unless(term.fact, term.patterns);
    }
  }

  // Behind the last quota of a policy nothing is asked for whom it applies to.
  void exempt_later(const std::string& where, const Terms& terms) {
    if (terms.size() == 1 && terms.front().positive) {
      exempt_.push_back(terms.front());
    } else if (terms.empty()) {
      hangs_on_ = fmt::format("{}, which is for all and the last", where);
    } else {
      hangs_on_ = fmt::format("{}, the last quota of those whom it is for", where);
    }
  }

  // Other modules that decide about mail.
  void note_others() {
    for (const std::string_view table :
         {"access_control", "greylisting", "checkhelo", "checkspf", "accounting", "amavis_rules"}) {
      const auto& rows = dump_.rows(table);
      const auto active = std::ranges::count_if(rows, [](const Row& row) { return !disabled(row); });
      if (active > 0)
        writer_.lose("", fmt::format("{}: {} rows", table, active), "only policies, groups and quotas are read");
    }
  }

  const SqlDump& dump_;
  std::vector<Term> exempt_;
  std::string hangs_on_;
  Writer writer_;
};

}  // namespace
}  // namespace import::cbpolicyd

Imported import_cbpolicyd(std::string_view text, const ImportSource& source) {
  const std::string content = import::cleaned_dump(text);
  const import::SqlDump dump(content);
  if (!dump.has("quotas"))
    return {.policy = "", .lost = {"this is no dump of cbpolicyd's database: it has no table \"quotas\""}};
  return import::cbpolicyd::Policies(dump, source).import();
}

}  // namespace replygate
