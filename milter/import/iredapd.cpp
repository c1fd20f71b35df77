#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <map>

#include "milter/import/sql_dump.h"
#include "milter/import/writer.h"
#include "policy/mail/domain.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace import::iredapd {
namespace {

using Row = SqlDump::Row;

std::int64_t whole(const Row& row, std::string_view column) {
  const std::string text = field(row, column);
  std::int64_t value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Whom a setting is for.
struct Account {
  std::string fact;  // of mail that is sent with a login; "sender" else, and "recipient"
  std::string pattern;
  std::string domain;  // its own; "" for an address of a client
};

class Throttles {
 public:
  Throttles(const SqlDump& dump, const ImportSource& source)
      : dump_(dump), writer_("the database of iRedAPD", source) {}

  Imported import() {
    std::vector<const Row*> rows;
    for (const Row& row : dump_.rows("throttle")) rows.push_back(&row);
    std::ranges::stable_sort(rows, std::ranges::greater(), [](const Row* row) { return whole(*row, "priority"); });
    writer_.remark("iRedAPD's periods begin with the first message and end together; these slide.");
    for (const Row* row : rows) write(*row);
    return writer_.finish();
  }

 private:
  static std::string where(const Row& row) { return fmt::format("{} {}", field(row, "kind"), field(row, "account")); }

  void lose(const Row& row, std::string_view what, std::string_view why) { writer_.lose(where(row), what, why); }

  std::optional<Account> account_of(const Row& row) const {
    const std::string kind = field(row, "kind");
    const std::string account = field(row, "account");
    const std::string fact = kind == "outbound" ? "user" : kind == "external" ? "sender" : "recipient";
    const std::size_t at = account.rfind('@');
    if (at == std::string::npos || !canonical_domain(account.substr(at + 1))) return std::nullopt;
    if (account.find_first_of("*?$/\" ") != std::string::npos) return std::nullopt;
    return Account{fact, account, account.substr(at + 1)};
  }

  void write(const Row& row) {
    const std::string kind = field(row, "kind");
    const std::int64_t period = whole(row, "period");
    const std::int64_t messages = whole(row, "max_msgs");
    const std::string what = fmt::format("max_msgs {}, max_quota {}, msg_size {} in {} s", messages,
                                         whole(row, "max_quota"), whole(row, "msg_size"), period);
    if (kind != "outbound" && kind != "external" && kind != "inbound") return lose(row, what, "there is no such kind");
    if (period <= 0)
      return writer_.remark(fmt::format("{}: {} (without a period iRedAPD passes over it)", where(row), what));
    if (whole(row, "max_rcpts") > 0)
      lose(row, "max_rcpts", "it counts recipients of one message, or of a period, as its version has it");
    if (whole(row, "max_quota") > 0)
      lose(row, fmt::format("max_quota {}", whole(row, "max_quota")),
           "it refuses the message after the one that goes beyond it");
    const auto account = account_of(row);
    if (messages > 0) write_messages(row, account, messages, period);
    if (whole(row, "msg_size") > 0)
      lose(row, fmt::format("msg_size {}", whole(row, "msg_size")),
           "it leaves out mail within one domain, which a rule on the whole message cannot");
    // An explicit 0 is without limit, and ends the search.
    if (account && messages >= 0) exempt_[kind].push_back(*account);
    if (!account && messages > 0 && hangs_on_[kind].empty()) hangs_on_[kind] = where(row);
  }

  static void for_whom(RuleText& rule, const std::string& kind, const Account& account) {
    rule.when("authenticated", kind == "outbound" ? "true" : "false");
    rule.when(account.fact, toml_string(account.pattern));
    // Mail within one domain is not counted.
    if (kind == "inbound") {
      rule.unless("sender_domain", {account.domain});
    } else {
      rule.unless("recipient_domain", {account.domain});
    }
  }

  void write_messages(const Row& row, const std::optional<Account>& account, std::int64_t most, std::int64_t period) {
    const std::string kind = field(row, "kind");
    const std::string what = fmt::format("max_msgs {} in {} s", most, period);
    if (most >= kMostQuantity || period > kLongestPeriod) return lose(row, what, "it is more than a policy can say");
    if (!account)
      return lose(row, what, "for several domains it leaves out mail within each of them; write it for one domain");
    if (!hangs_on_[kind].empty())
      return lose(row, what, fmt::format("hangs on {}, which goes before it", hangs_on_[kind]));
    RuleText rule;
    for_whom(rule, kind, *account);
    for (const Account& one : exempt_[kind]) rule.unless(one.fact, {one.pattern});
    rule.add("per", toml_string(account->fact));
    rule.add("limit",
             toml_string(fmt::format("{} recipients / {}", most, format_duration(std::chrono::seconds(period)))));
    rule.add("at", "\"rcpt\"");
    rule.add("reply", "{ code = 554, enhanced = \"5.7.1\", text = \"Throttling: too many mails in {limit}\" }");
    if (const std::string why = writer_.rule(where(row), rule); !why.empty()) lose(row, what, why);
  }

  const SqlDump& dump_;
  std::map<std::string, std::vector<Account>> exempt_;
  std::map<std::string, std::string> hangs_on_;
  Writer writer_;
};

}  // namespace
}  // namespace import::iredapd

Imported import_iredapd(std::string_view text, const ImportSource& source) {
  const std::string content = import::cleaned_dump(text);
  const import::SqlDump dump(content);
  if (!dump.has("throttle"))
    return {.policy = "", .lost = {"this is no dump of iRedAPD's database: it has no table \"throttle\""}};
  return import::iredapd::Throttles(dump, source).import();
}

}  // namespace replygate
