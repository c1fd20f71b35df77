#include "policy/record_fields.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/locale/encoding_utf.hpp>

namespace replygate::detail {
namespace {

namespace json = boost::json;
using boost::locale::utf::utf_traits;

constexpr std::size_t kLongestText = 1000;

json::object reply_fields(const Reply& reply) {
  return {{"code", reply.code()}, {"enhanced", reply.enhanced().text()}, {"text", reply.text()}};
}

// The enhanced code in words.
void add_status(json::object& fields, EnhancedCode code) {
  fields["subject"] = subject_in_words(code);
  const EnhancedStatus* status = find_enhanced_status(code);
  fields["detail"] = status == nullptr ? "unregistered" : status->meaning;
}

void add_finding(json::object& fields, const Finding& finding) {
  constexpr std::array<std::string_view, 4> causes = {"rule", "limit", "never-fits", "unknown"};
  const Reply& reply = finding.reply;
  fields["reply"] = reply_fields(reply);
  fields["classification"] = finding.classification->slug;
  fields["severity"] = to_string(reply.severity());
  fields["bounce"] = to_string(bounce_of(reply.code()));
  fields["category"] = category_of(reply.code());
  add_status(fields, reply.enhanced());
  fields["rule"] = finding.rule->name;
  fields["place"] = finding.rule->place.text();
  fields["cause"] = causes[static_cast<std::size_t>(finding.cause)];
}

json::object limit_fields(const LimitUse& use) {
  json::object fields{{"rule", use.rule->name},
                      {"key", safe_text(use.key)},
                      {"limit", use.limit.most},
                      {"used", use.used},
                      {"cost", use.cost},
                      {"unit", to_string(use.limit.unit)},
                      {"window", use.limit.period_text()},
                      {"fits", use.fits}};
  if (!use.fits && use.room_at) fields["room_at"] = format_time(*use.room_at);
  return fields;
}

}  // namespace

std::string safe_text(std::string_view text) {
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

json::object verdict_fields(const Verdict& verdict, const Connection& connection) {
  json::object fields;
  const bool refused = verdict.kind == Verdict::Kind::refuse;
  const bool counting_only = refused && connection.local_submission;
  fields["action"] = refused && !counting_only ? "refuse" : "pass";
  if (verdict.refusal) {
    add_finding(fields, *verdict.refusal);
    fields["mode"] = counting_only ? "counting-only" : "enforce";
  } else {
    fields["severity"] = to_string(Severity::success);
    fields["bounce"] = to_string(Bounce::none);
  }
  if (verdict.accepted_by != nullptr) {
    fields["rule"] = verdict.accepted_by->name;
    fields["place"] = verdict.accepted_by->place.text();
  }
  for (const Finding& finding : verdict.observed) {
    if (!fields.contains("observed")) fields["observed"] = json::array();
    json::object observed;
    add_finding(observed, finding);
    observed["mode"] = "observe";
    fields["observed"].as_array().push_back(std::move(observed));
  }
  for (const Rule* rule : verdict.unknown) {
    if (!fields.contains("unknown")) fields["unknown"] = json::array();
    fields["unknown"].as_array().emplace_back(rule->name);
  }
  for (const LimitUse& use : verdict.limits) {
    if (!fields.contains("limits")) fields["limits"] = json::array();
    fields["limits"].as_array().push_back(limit_fields(use));
  }
  return fields;
}

json::object recipient_fields(const JudgedRecipient& judged, const Connection& connection) {
  const Recipient& r = judged.recipient;
  json::object fields{{"recipient", safe_text(r.address.form == Address::Form::mailbox ? r.address.full : r.raw)},
                      {"ref", judged.ref}};
  if (r.address.form == Address::Form::malformed) fields["malformed"] = true;
  if (r.route && !r.mta_refused) fields["route"] = safe_text(*r.route);
  json::object verdict = verdict_fields(judged.verdict, connection);
  if (r.mta_refused) {
    const auto code = EnhancedCode::parse(r.mta_status);
    const bool soft = code && code->severity == 4;
    verdict = {{"action", "mta-refused"},
               {"reply", {{"enhanced", safe_text(r.mta_status)}, {"text", safe_text(r.mta_text)}}},
               {"severity", to_string(soft ? Severity::transient : Severity::permanent)},
               {"bounce", to_string(soft ? Bounce::soft : Bounce::hard)}};
    if (code) add_status(verdict, *code);
  }
  for (auto& [key, value] : verdict) fields[key] = std::move(value);
  return fields;
}

json::object transaction_fields(const Record& record) {
  const Connection& c = record.connection;
  const Transaction& t = record.transaction;
  json::object fields{{"time", format_time(record.time)},
                      {"policy", record.policy.id()},
                      {"door", record.door},
                      {"session", record.session},
                      {"ref", record.ref},
                      {"queue_id", safe_text(t.queue_id)},
                      {"outcome", to_string(record.ending)},
                      {"client_ip", c.ip_text},
                      {"client_name", safe_text(c.name)},
                      {"client_port", c.port},
                      {"listener", safe_text(c.listener)},
                      {"helo", safe_text(c.helo)},
                      {"user", safe_text(t.user)},
                      {"sender", safe_text(t.sender.form == Address::Form::malformed ? t.sender_raw : t.sender.full)},
                      {"size", t.size > 0 ? t.size : t.declared_size}};
  if (!c.tls.version.empty()) {
    fields["tls_version"] = safe_text(c.tls.version);
    fields["tls_cipher"] = safe_text(c.tls.cipher);
    fields["tls_bits"] = c.tls.bits;
  }
  if (c.local_submission) fields["local_submission"] = true;
  return fields;
}

const Verdict* message_verdict(const Record& record) {
  const Verdict* result = nullptr;
  for (const Verdict* verdict : record.verdicts) {
    if (verdict->kind == Verdict::Kind::refuse) return verdict;
    const bool speaks = verdict->accepted_by != nullptr || !verdict->observed.empty() || !verdict->unknown.empty() ||
                        !verdict->limits.empty();
    if (speaks) result = verdict;
  }
  return result;
}

}  // namespace replygate::detail
