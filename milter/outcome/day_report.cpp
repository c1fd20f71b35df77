#include "milter/outcome/day_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "milter/json_members.h"
#include "milter/outcome/recorded_form.h"
#include "milter/outcome/report_json.h"
#include "milter/outcome/who_answered.h"
#include "policy/mail/text.h"
#include "policy/remote/log_line.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostKinds = 2000;
constexpr std::size_t kMostLimits = 20000;
constexpr std::size_t kMostDeferred = 100000;
constexpr std::size_t kMostEnds = 2000000;
constexpr double kNearlyFull = 0.8;
// The daemon and a later reader date a line alike, but for what it came late. An id may be used again afterwards.
constexpr Duration kSameEnd = std::chrono::hours(1);

std::string code_and_text(const RemoteStatus& status) {
  return fmt::format("{}{}", status.code ? fmt::format("{} ", *status.code) : "", without_controls(status.text));
}

// A reply without what differs from one client to the next.
std::string kind_of_reply(std::string_view text) {
  std::string kind;
  int brackets = 0;
  for (const char c : text.substr(0, 200)) {
    if (c == '<' || c == '[') {
      if (brackets++ == 0) kind += c == '<' ? "<…>" : "[…]";
    } else if ((c == '>' || c == ']') && brackets > 0) {
      --brackets;
    } else if (brackets == 0) {
      kind += c;
    }
  }
  return without_controls(kind.substr(0, kind.find("; from=")));
}

std::uint64_t hash_of_end(std::string_view id, std::string_view recipient) {
  return std::hash<std::string>{}(fmt::format("{}\n{}", id, recipient));
}

}  // namespace

DayReport::Tally& DayReport::note(Kinds& kinds, std::vector<std::string> words, std::string_view example,
                                  std::string_view text, Instant time) {
  if (kinds.size() >= kMostKinds && !kinds.contains(words)) words = {"(others)"};
  Tally& tally = kinds[std::move(words)];
  if (tally.count++ == 0) {
    tally.example = example;
    tally.text = text;
  }
  tally.last = std::max(tally.last, time);
  return tally;
}

void DayReport::limits(const json::object& judged) {
  for (const json::value& value : array_at(judged, "limits")) {
    if (!value.is_object()) continue;
    const json::object& l = value.get_object();
    const double most = number_at(l, "limit");
    const bool full = !flag_at(l, "fits");
    const bool share = l.contains("of");
    const double used = number_at(l, "used");
    const double part = most <= 0 ? 0 : (used + (full || share ? 0 : number_at(l, "cost"))) / most;
    const bool below_floor = share && !full && part >= 1;  // there are too few recipients for it to be judged
    if (part < kNearlyFull || below_floor) continue;
    const std::string unit = text_at(l, "unit");
    const std::string window = text_at(l, "window");
    Limit limit{text_at(l, "rule"), text_at(l, "key"),
                share ? fmt::format("{:.0f} {} of {:.0f} recipients / {}", used, unit, number_at(l, "of"), window)
                      : fmt::format("{:.0f} {} / {}", most, unit, window),
                part, full};
    std::string name = fmt::format("{}\n{}\n{}", limit.rule, limit.key, share ? unit + window : limit.window);
    if (limits_.size() >= kMostLimits && !limits_.contains(name)) continue;
    Limit& kept = limits_[std::move(name)];
    const bool was_full = kept.full;
    if (part >= kept.part) kept = std::move(limit);
    kept.full |= was_full;
  }
}

void DayReport::judged(const json::object& judged, const json::object& record, Instant time) {
  const std::string action = text_at(judged, "action");
  const std::string rule = text_at(judged, "rule");
  const bool counts = time >= since_;
  if (!rule.empty() && !known_rules_.contains(rule)) {
    if (counts) note(fresh, {rule, text_at(judged, "place")}, text_at(record, "ref"), "", time);
    if (!counts && known_rules_.size() < kMostKinds) known_rules_.insert(rule);
  }
  if (!counts) return;
  limits(judged);
  would_have(judged, record, time);
  if (action != "refuse") return;
  const json::object& reply = object_at(judged, "reply");
  const std::string classification = text_at(judged, "classification");
  const std::string reason(info_of(reason_of_class(classification)).slug);
  note(refusals, {rule, classification, text_at(judged, "bounce"), reason},
       text_at(judged, "ref").empty() ? text_at(record, "ref") : text_at(judged, "ref"),
       fmt::format("{:.0f} {} {}", number_at(reply, "code"), text_at(reply, "enhanced"), text_at(reply, "text")), time);
}

void DayReport::would_have(const json::object& judged, const json::object& record, Instant time) {
  for (const json::value& value : array_at(judged, "observed")) {
    if (!value.is_object()) continue;
    const json::object& one = value.get_object();
    const std::string action = text_at(one, "action");
    note(observed, {text_at(one, "rule"), action.empty() ? text_at(one, "classification") : action},
         text_at(record, "ref"), "", time);
  }
}

void DayReport::record(const json::object& record, Instant time, bool log_follows) {
  if (text_at(record, "event") == "outcome") {
    if (time < since_) return;
    for (const json::value& value : array_at(record, "recipients")) {
      if (value.is_object()) outcome(value.get_object(), record, time, log_follows);
    }
    return;
  }
  const std::string policy = text_at(record, "policy");
  if (time < since_) {
    last_policy_before = policy;
  } else {
    ++transactions;
    note(policies, {policy}, text_at(record, "ref"), "", time);
  }
  const json::object& message = object_at(record, "message");
  judged(message, record, time);
  const bool whole = text_at(message, "action") == "refuse";
  for (const json::value& value : array_at(record, "recipients")) {
    if (!value.is_object()) continue;
    const json::object& recipient = value.get_object();
    judged(recipient, record, time);
    if (time < since_) continue;
    ++(whole || text_at(recipient, "action") != "pass" ? refused : passed);
  }
}

void DayReport::ended(const Failure& failure, std::string_view id, Kinds& others, Instant time) {
  const std::string slug(info_of(failure.reason).slug);
  const bool about_us = outcome_of_expiry(failure.reason) == OutcomeKind::blocked || failure.reason == Reason::policy;
  Tally& tally = note(about_us ? blocked : others, {failure.who, slug, failure.advice}, id, failure.text, time);
  if (&others == &deferred) ++tally.waiting;
  if (failure.dead && &others == &failed) note(dead, {failure.recipient, slug}, id, failure.text, time);
}

DayReport::Failure DayReport::failure_of(const RemoteStatus& status) {
  const Explained explained = book_.explain(status);
  return {.who = who_answered(status, explained.provider),
          .reason = explained.reason,
          .advice = explained.advice.empty() ? "" : std::string(explained.advice.front()),
          .text = code_and_text(status),
          .recipient = status.recipient,
          .dead = outcome_of(status, explained) == OutcomeKind::hard_bounce};
}

// As it was explained when it happened.
DayReport::Failure DayReport::failure_in(const json::object& outcome, OutcomeKind kind) {
  const json::object& kept = object_at(outcome, "status");
  RemoteStatus status = status_in(kept);
  const std::string became = text_at(outcome, "became");
  status.recipient = became.empty() ? text_at(outcome, "recipient") : became;
  const json::array& advice = array_at(kept, "do");
  return {.who = who_answered(status, text_at(kept, "provider")),
          .reason = reason_from(text_at(kept, "reason")).value_or(Reason::unspecified),
          .advice = advice.empty() || !advice.front().is_string() ? "" : std::string(advice.front().as_string()),
          .text = code_and_text(status),
          .recipient = status.recipient,
          .dead = kind == OutcomeKind::hard_bounce};
}

bool DayReport::is_owned(const std::string& id, std::string_view recipient) const {
  const auto mail = deferred_.find(id);
  if (mail == deferred_.end()) return false;
  const auto found = mail->second.find(recipient);
  return found != mail->second.end() && !found->second.first.unowned;
}

// What was deferred before its end was told with it.
bool DayReport::is_told(OutcomeKind kind, std::string_view id, std::string_view recipient, Instant time) const {
  const auto found = told_.empty() ? told_.end() : told_.find(hash_of_end(id, recipient));
  if (found == told_.end() || time > found->second.time + kSameEnd) return false;
  return kind == OutcomeKind::deferred || found->second.corrects || time + kSameEnd >= found->second.time;
}

void DayReport::take_end(OutcomeKind kind, Failure failure, const std::string& id, std::string_view recipient,
                         Instant time) {
  // A record knows the sender of what was deferred before the log begins.
  if (failure.unowned && is_owned(id, recipient)) failure.unowned = false;
  if (kind == OutcomeKind::deferred) {
    if (kept_ >= kMostDeferred) return;
    if (deferred_[id].insert_or_assign(std::string(recipient), std::pair(std::move(failure), time)).second) ++kept_;
    return;
  }
  if (const auto found = deferred_.find(id); found != deferred_.end()) {
    const auto last = found->second.extract(std::string(recipient));
    if (found->second.empty()) deferred_.erase(found);
    if (last) --kept_;
    // What it has failed for is what kept it waiting.
    if (last && failure.reason == Reason::expired) failure = last.mapped().first;
  }
  if (failure.unowned) ++unknown;
  if (kind == OutcomeKind::delivered) {
    ++delivered;
  } else {
    ++bounced;
    ended(failure, id, failed, time);
  }
}

void DayReport::outcome(const json::object& outcome, const json::object& record, Instant time, bool log_follows) {
  const auto kind = outcome_kind_from(text_at(outcome, "outcome"));
  if (!kind) return;
  const std::string recipient = text_at(outcome, "recipient");
  if (*kind == OutcomeKind::complaint) {
    const std::string who = text_at(record, "user").empty() ? text_at(record, "sender") : text_at(record, "user");
    note(complaints, {who}, text_at(record, "queue_id"), recipient, time);
    return;
  }
  const bool corrects = flag_at(outcome, "corrects");
  if (corrects && delivered > 0) --delivered;
  Failure failure{.recipient = recipient};
  if (*kind != OutcomeKind::delivered) failure = failure_in(outcome, *kind);
  const std::string id = text_at(record, "queue_id");
  const std::string became = text_at(outcome, "became");
  const std::string tried = recorded_form(became.empty() ? recipient : became);
  if (log_follows && *kind != OutcomeKind::deferred && told_.size() < kMostEnds) {
    told_[hash_of_end(id, tried)] = {time, corrects};
  }
  take_end(*kind, std::move(failure), id, tried, time);
}

void DayReport::take_attempt(Instant now, const std::string& id, const LogEvent& event, std::string_view recipient,
                             bool unowned) {
  RemoteStatus status = status_of(event);
  status.recipient = recipient;
  const OutcomeKind kind = status.told == Severity::transient ? OutcomeKind::deferred
                           : status.told == Severity::success ? OutcomeKind::delivered
                                                              : OutcomeKind::failed;
  const std::string tried = recorded_form(recipient);
  if (is_told(kind, id, tried, now)) return;
  Failure failure{.recipient = status.recipient};
  if (kind != OutcomeKind::delivered) failure = failure_of(status);
  failure.unowned = unowned;
  if (event.id != id) failure.under = event.id;
  take_end(kind, std::move(failure), id, tried, now);
}

void DayReport::attempt(Instant now, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
                        bool handed_on) {
  if (now < since_ || handed_on || mail == nullptr) return;
  take_attempt(now, mail->id, event, recipient, false);
}

void DayReport::unowned(Instant now, const LogEvent& event, std::string_view recipient, bool handed_on) {
  if (event.kind != LogEventKind::attempt) return expire(now, std::string(event.id), event.id);
  if (now >= since_ && !handed_on) take_attempt(now, std::string(event.id), event, recipient, true);
}

void DayReport::expired(Instant now, const LoggedMail* mail, std::string_view id) {
  if (mail != nullptr) expire(now, mail->id, id);
}

void DayReport::expire(Instant now, const std::string& id, std::string_view under) {
  const auto found = deferred_.find(id);
  if (found == deferred_.end()) return;
  kept_ -= std::erase_if(found->second, [&](const auto& one) {
    const Failure& last = one.second.first;
    if ((last.under.empty() ? id : last.under) != under) return false;
    ++bounced;
    if (last.unowned) ++unknown;
    ended(last, id, failed, now);
    return true;
  });
  if (found->second.empty()) deferred_.erase(found);
}

void DayReport::refusal(Instant now, const LogEvent& event) {
  if (now < since_ || event.kind != LogEventKind::refusal || (event.by_filter && records_)) return;
  // To the client it is the answer of a remote server.
  RemoteStatus status = status_of(event);
  status.own = false;
  const std::string reason(info_of(book_.explain(status).reason).slug);
  note(own, {kind_of_reply(event.text), reason}, event.text, event.client_ip, now);
}

void DayReport::finish() {
  waiting = static_cast<std::int64_t>(kept_);
  for (const auto& [id, recipients] : deferred_) {
    for (const auto& [recipient, last] : recipients) {
      if (last.first.unowned) ++unknown;
      ended(last.first, id, deferred, last.second);
    }
  }
}

std::vector<DayReport::Limit> DayReport::fullest(std::size_t most) const {
  std::vector<Limit> all;
  for (const auto& [name, limit] : limits_) all.push_back(limit);
  std::ranges::sort(all, [](const Limit& a, const Limit& b) {
    return std::tie(b.full, b.part, a.key) < std::tie(a.full, a.part, b.key);
  });
  if (all.size() > most) all.resize(most);
  return all;
}

bool DayReport::is_silent() const {
  return blocked.empty() && failed.empty() && deferred.empty() && refusals.empty() && own.empty() && observed.empty() &&
         complaints.empty() && limits_.empty() && fresh.empty() && (policies.size() < 2);
}

}  // namespace replygate
