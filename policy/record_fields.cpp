#include "policy/record_fields.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/locale/encoding_utf.hpp>

#include "policy/mail/text.h"

namespace replygate::detail {
namespace {

namespace json = boost::json;
using boost::locale::utf::utf_traits;

constexpr std::size_t kLongestText = 1000;

object& nested(object& fields, std::string_view key) { return fields[key].emplace_object(); }

json::array& list(object& fields, std::string_view key) {
  json::value& value = fields[key];
  return value.is_array() ? value.get_array() : value.emplace_array();
}

object& next_in(json::array& array) {
  object& next = array.emplace_back(nullptr).emplace_object();
  next.reserve(12);
  return next;
}

// The enhanced code in words.
void add_status(object& fields, EnhancedCode code) {
  fields["subject"] = subject_in_words(code);
  const EnhancedStatus* status = find_enhanced_status(code);
  fields["detail"] = status == nullptr ? "unregistered" : status->meaning;
}

void add_finding(object& fields, const Finding& finding, std::string_view mode) {
  constexpr std::array<std::string_view, 4> causes = {"rule", "limit", "never-fits", "unknown"};
  const Reply& reply = finding.reply;
  object& said = nested(fields, "reply");
  said["code"] = reply.code();
  said["enhanced"] = reply.enhanced().text();
  said["text"] = reply.text();
  fields["classification"] = finding.classification->slug;
  fields["severity"] = to_string(reply.severity());
  fields["bounce"] = to_string(bounce_of(reply.code()));
  fields["category"] = category_of(reply.code());
  add_status(fields, reply.enhanced());
  fields["rule"] = finding.rule->name;
  fields["place"] = finding.rule->place.text();
  fields["cause"] = causes[static_cast<std::size_t>(finding.cause)];
  fields["mode"] = mode;
}

void add_limit(object& fields, const LimitUse& use) {
  fields["rule"] = use.rule->name;
  fields["key"] = safe_text(use.key);
  fields["limit"] = use.limit.most;
  fields["used"] = use.used;
  fields["cost"] = use.cost;
  fields["unit"] = to_string(use.limit.unit);
  fields["window"] = use.limit.period_text();
  fields["fits"] = use.fits;
  if (!use.fits && use.room_at) fields["room_at"] = format_time(*use.room_at);
}

void add_mta_refusal(object& fields, const Recipient& recipient) {
  const auto code = EnhancedCode::parse(recipient.mta_status);
  const bool soft = code && code->severity == 4;
  fields["action"] = "mta-refused";
  object& said = nested(fields, "reply");
  said["enhanced"] = safe_text(recipient.mta_status);
  said["text"] = safe_text(recipient.mta_text);
  fields["severity"] = to_string(soft ? Severity::transient : Severity::permanent);
  fields["bounce"] = to_string(soft ? Bounce::soft : Bounce::hard);
  if (code) add_status(fields, *code);
}

bool says_something(const Verdict& verdict) {
  return verdict.kind != Verdict::Kind::pass || !verdict.observed.empty() || !verdict.unknown.empty() ||
         !verdict.limits.empty();
}

}  // namespace

std::string safe_text(std::string_view text) {
  if (text.size() <= kLongestText && std::ranges::all_of(text, is_ascii)) return std::string(text);
  std::string result;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end && result.size() < kLongestText) {
    const char* const begin = at;
    const auto point = utf_traits<char>::decode(at, end);
    if (point == boost::locale::utf::illegal || point == boost::locale::utf::incomplete) {
      result += fmt::format("\\x{:02x}", static_cast<unsigned char>(*begin));
      at = begin + 1;
    } else {
      result.append(begin, at);
    }
  }
  if (at != end) result += "...";
  return result;
}

std::string format_time(Instant time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto whole = std::chrono::floor<std::chrono::seconds>(milliseconds);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(whole)),
                     (milliseconds - whole).count());
}

void add_verdict(object& fields, const Verdict& verdict, const Connection& connection) {
  const bool refused = verdict.kind == Verdict::Kind::refuse;
  const bool counting_only = refused && connection.local_submission;
  fields["action"] = refused && !counting_only ? "refuse" : "pass";
  if (verdict.refusal) {
    add_finding(fields, *verdict.refusal, counting_only ? "counting-only" : "enforce");
  } else {
    fields["severity"] = to_string(Severity::success);
    fields["bounce"] = to_string(Bounce::none);
  }
  if (verdict.accepted_by != nullptr) {
    fields["rule"] = verdict.accepted_by->name;
    fields["place"] = verdict.accepted_by->place.text();
  }
  for (const Finding& finding : verdict.observed) add_finding(next_in(list(fields, "observed")), finding, "observe");
  for (const Rule* rule : verdict.unknown) list(fields, "unknown").emplace_back(rule->name);
  for (const LimitUse& use : verdict.limits) add_limit(next_in(list(fields, "limits")), use);
}

void add_recipient(object& fields, const JudgedRecipient& judged, const Connection& connection) {
  const Recipient& r = judged.recipient;
  fields["recipient"] = safe_text(r.address.form == Address::Form::mailbox ? r.address.full : r.raw);
  if (r.address.form == Address::Form::malformed) fields["malformed"] = true;
  if (r.mta_refused) {
    add_mta_refusal(fields, r);
    return;
  }
  if (r.route) fields["route"] = safe_text(*r.route);
  add_verdict(fields, judged.verdict, connection);
}

void add_transaction(object& fields, const Record& record) {
  const Connection& c = record.connection;
  const Transaction& t = record.transaction;
  fields["time"] = format_time(record.time);
  fields["policy"] = record.policy.id();
  fields["door"] = record.door;
  fields["session"] = record.session;
  fields["ref"] = record.ref;
  fields["queue_id"] = safe_text(t.queue_id);
  fields["outcome"] = to_string(record.ending);
  fields["client_ip"] = c.ip_text;
  fields["client_name"] = safe_text(c.name);
  fields["client_port"] = c.port;
  fields["listener"] = safe_text(c.listener);
  fields["helo"] = safe_text(c.helo);
  fields["user"] = safe_text(t.user);
  fields["sender"] = safe_text(t.sender.form == Address::Form::malformed ? t.sender_raw : t.sender.full);
  fields["size"] = t.size > 0 ? t.size : t.declared_size;
  if (!c.tls.version.empty()) {
    fields["tls_version"] = safe_text(c.tls.version);
    fields["tls_cipher"] = safe_text(c.tls.cipher);
    fields["tls_bits"] = c.tls.bits;
  }
  if (c.local_submission) fields["local_submission"] = true;
  if (says_something(record.message)) add_verdict(nested(fields, "message"), record.message, c);
}

}  // namespace replygate::detail
