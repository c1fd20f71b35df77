#include "policy/decide/record_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace replygate::detail {
namespace {

// The enhanced code in words.
void write_status(FieldWriter& fields, EnhancedCode code) {
  fields.text("subject", subject_in_words(code));
  const EnhancedStatus* status = find_enhanced_status(code);
  fields.text("detail", status == nullptr ? "unregistered" : status->meaning);
}

void write_finding(FieldWriter& fields, const Finding& finding, std::string_view mode) {
  constexpr std::array<std::string_view, 4> causes = {"rule", "limit", "never-fits", "unknown"};
  const Reply& reply = finding.reply;
  fields.open("reply");
  fields.number("code", reply.code());
  fields.text("enhanced", reply.enhanced().text());
  fields.text("text", reply.text());
  fields.close();
  fields.text("classification", finding.classification->slug);
  fields.text("severity", to_string(reply.severity()));
  fields.text("bounce", to_string(bounce_of(reply.code())));
  fields.text("category", category_of(reply.code()));
  write_status(fields, reply.enhanced());
  fields.text("rule", finding.rule->name);
  fields.text("place", finding.rule->place.text());
  fields.text("cause", causes[static_cast<std::size_t>(finding.cause)]);
  if (finding.step != nullptr) fields.text("escalated", finding.step->after.text());
  fields.text("mode", mode);
}

void write_limit(FieldWriter& fields, const LimitUse& use) {
  fields.text("rule", use.rule->name);
  fields.text("key", use.key);
  fields.number("limit", use.limit.most_of(use.of));
  fields.number("used", use.used);
  fields.number("cost", use.cost);
  fields.text("unit", to_string(use.limit.unit));
  fields.text("window", use.limit.period_text());
  if (use.limit.share > 0) fields.number("of", use.of);
  fields.flag("fits", use.fits);
  if (!use.fits && use.room_at) fields.text("room_at", format_time(*use.room_at));
  if (use.warn) fields.flag("warning", true);
  if (use.local) fields.flag("local", true);
}

void write_sighting(FieldWriter& fields, const SightingUse& use) {
  constexpr std::array<std::string_view, 4> states = {"new", "early", "passing", "known"};
  fields.text("rule", use.rule->name);
  fields.text("key", use.key);
  fields.text("state", use.client_known ? "client-known" : states[static_cast<std::size_t>(use.state)]);
  fields.flag("passes", use.passes);
  if (!use.passes && use.room_at) fields.text("room_at", format_time(*use.room_at));
}

void write_observed_action(FieldWriter& fields, const Rule& rule) {
  fields.text("action", std::holds_alternative<Hold>(rule.outcome) ? "hold" : "discard");
  fields.text("rule", rule.name);
  fields.text("place", rule.place.text());
  fields.text("mode", "observe");
}

void write_disposition(FieldWriter& fields, const Disposition& disposition) {
  if (disposition.discard) fields.flag("discarded", true);
  if (!disposition.hold.empty()) fields.text("held", disposition.hold);
  if (disposition.headers.empty()) return;
  fields.open_list("headers");
  for (const Header& header : disposition.headers) {
    fields.open_item();
    fields.text("name", header.name);
    fields.text("value", header.value);
    fields.close();
  }
  fields.close();
}

// The code at the beginning of what an MTA says; 0 where there is none. Postfix gives its text alone.
int code_in(std::string_view text) {
  const auto digit = [&](std::size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : -1; };
  if (text.size() < 3 || (text.size() > 3 && text[3] != ' ' && text[3] != '-')) return 0;
  if ((text[0] != '4' && text[0] != '5') || digit(1) < 0 || digit(2) < 0) return 0;
  return digit(0) * 100 + digit(1) * 10 + digit(2);
}

void write_mta_refusal(FieldWriter& fields, const Recipient& recipient) {
  const auto code = EnhancedCode::parse(recipient.mta_status);
  const bool soft = code && code->severity == 4;
  fields.text("action", "mta-refused");
  fields.open("reply");
  if (const int reply_code = code_in(recipient.mta_text); reply_code != 0) fields.number("code", reply_code);
  fields.text("enhanced", recipient.mta_status);
  fields.text("text", recipient.mta_text);
  fields.close();
  fields.text("severity", to_string(soft ? Severity::transient : Severity::permanent));
  fields.text("bounce", to_string(soft ? Bounce::soft : Bounce::hard));
  if (code) write_status(fields, *code);
}

void write_rules(FieldWriter& fields, std::string_view name, const std::vector<const Rule*>& rules) {
  if (rules.empty()) return;
  fields.open_list(name);
  for (const Rule* rule : rules) fields.item(rule->name);
  fields.close();
}

void write_lists(FieldWriter& fields, const Verdict& verdict) {
  if (!verdict.observed.empty() || !verdict.observed_actions.empty()) {
    fields.open_list("observed");
    for (const Rule* rule : verdict.observed_actions) {
      fields.open_item();
      write_observed_action(fields, *rule);
      fields.close();
    }
    for (const Finding& finding : verdict.observed) {
      fields.open_item();
      write_finding(fields, finding, "observe");
      fields.close();
    }
    fields.close();
  }
  write_rules(fields, "unknown", verdict.unknown);
  write_rules(fields, "unread", verdict.unread);
  if (!verdict.limits.empty()) {
    fields.open_list("limits");
    for (const LimitUse& use : verdict.limits) {
      fields.open_item();
      write_limit(fields, use);
      fields.close();
    }
    fields.close();
  }
  if (verdict.evicted > 0) fields.number("evicted", verdict.evicted);
  if (!verdict.sightings.empty()) {
    fields.open_list("greylist");
    for (const SightingUse& use : verdict.sightings) {
      fields.open_item();
      write_sighting(fields, use);
      fields.close();
    }
    fields.close();
  }
}

// Of times as records show them.
std::int64_t milliseconds_between(Instant first, Instant last) {
  using std::chrono::milliseconds;
  return (std::chrono::floor<milliseconds>(last) - std::chrono::floor<milliseconds>(first)).count();
}

// What was said of a recipient or of the message.
void write_verdict(FieldWriter& fields, const Verdict& verdict, const Connection& connection) {
  const bool refused = verdict.kind == Verdict::Kind::refuse;
  const bool counting_only = refused && connection.local_submission;
  fields.text("action", refused && !counting_only ? "refuse" : "pass");
  if (verdict.refusal) {
    write_finding(fields, *verdict.refusal, counting_only ? "counting-only" : "enforce");
  } else {
    fields.text("severity", to_string(Severity::success));
    fields.text("bounce", to_string(Bounce::none));
  }
  if (verdict.accepted_by != nullptr && !verdict.refusal) {
    fields.text("rule", verdict.accepted_by->name);
    fields.text("place", verdict.accepted_by->place.text());
  }
  write_lists(fields, verdict);
}

}  // namespace

std::string format_time(Instant time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time);
  const auto days = std::chrono::floor<std::chrono::days>(milliseconds);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(milliseconds - days);
  std::string text = "0000-00-00T00:00:00.000Z";
  const auto put = [&text](std::size_t end, std::int64_t number) {
    for (; number > 0; number /= 10) text[--end] = static_cast<char>('0' + number % 10);
  };
  put(4, std::clamp(static_cast<int>(date.year()), 0, 9999));
  put(7, static_cast<unsigned>(date.month()));
  put(10, static_cast<unsigned>(date.day()));
  put(13, clock.hours().count());
  put(16, clock.minutes().count());
  put(19, clock.seconds().count());
  put(23, clock.subseconds().count());
  return text;
}

void write_recipient(FieldWriter& fields, const JudgedRecipient& judged, const Record& record) {
  const Recipient& r = judged.recipient;
  fields.text("recipient", r.address.form == Address::Form::mailbox ? r.address.full : r.raw);
  if (r.address.form == Address::Form::malformed) fields.flag("malformed", true);
  if (const std::int64_t before = milliseconds_between(judged.time, record.time); before > 0) {
    fields.number("before_ms", before);
  }
  if (r.mta_refused) {
    write_mta_refusal(fields, r);
    return;
  }
  if (r.route) fields.text("route", *r.route);
  if (r.mailbox_used.state == MailboxUse::State::used) fields.number("mailbox_used", r.mailbox_used.percent);
  if (r.dead) fields.flag("recipient_dead", true);
  write_verdict(fields, judged.verdict, record.connection);
}

void write_transaction(FieldWriter& fields, const Record& record, std::string_view ref) {
  const Connection& c = record.connection;
  const Transaction& t = record.transaction;
  fields.text("time", format_time(record.time));
  fields.number("open_ms", milliseconds_between(record.begun, record.time));
  fields.text("policy", record.policy->id());
  fields.text("door", record.door);
  fields.text("session", record.session);
  fields.text("ref", ref);
  fields.text("queue_id", t.queue_id);
  fields.text("outcome", to_string(record.ending));
  fields.text("client_ip", c.ip_text);
  fields.text("client_name", c.name);
  fields.number("client_port", c.port);
  fields.text("listener", c.listener);
  fields.text("helo", c.helo);
  fields.text("user", t.user);
  fields.text("sender", t.sender.form == Address::Form::malformed ? t.sender_raw : t.sender.full);
  fields.number("size", t.size > 0 ? t.size : t.declared_size);
  if (!c.tls.version.empty()) {
    fields.text("tls_version", c.tls.version);
    fields.text("tls_cipher", c.tls.cipher);
    fields.number("tls_bits", c.tls.bits);
  }
  if (c.local_submission) fields.flag("local_submission", true);
  if (!t.digest.empty()) fields.text("digest", t.digest);
  write_disposition(fields, record.disposition);
  if (!record.message.empty()) {
    fields.open("message");
    write_verdict(fields, record.message, c);
    fields.close();
  }
}

}  // namespace replygate::detail
