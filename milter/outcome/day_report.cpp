#include "milter/outcome/day_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

#include "milter/json_members.h"
#include "policy/mail/text.h"
#include "policy/remote/log_line.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr std::size_t kMostKinds = 2000;
constexpr std::size_t kMostLimits = 20000;
constexpr std::size_t kMostDeferred = 100000;
constexpr double kNearlyFull = 0.8;

// They refuse us, or what we send, whoever it is to.
bool is_about_us(Reason reason) {
  switch (reason) {
    case Reason::ip_blocked:
    case Reason::no_ptr:
    case Reason::sender_rejected:
    case Reason::auth_failure:
    case Reason::rate_limited:
    case Reason::spam:
    case Reason::policy: return true;
    default: return false;
  }
}

// Who answered: a provider that is known, else the domain of the server, else that of the recipient where the server
// has no name.
std::string who_answered(const RemoteStatus& status, const Explained& explained) {
  if (!explained.provider.empty()) return std::string(explained.provider);
  const bool named = !status.host.empty() && !is_digit(status.host.back());
  const std::string_view host =
      named ? std::string_view(status.host) : std::string_view(status.recipient).substr(status.recipient.find('@') + 1);
  const std::size_t last = host.rfind('.');
  const std::size_t before = last == std::string_view::npos || last == 0 ? last : host.rfind('.', last - 1);
  return to_lower(before == std::string_view::npos ? host : host.substr(before + 1));
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

}  // namespace

void DayReport::note(Kinds& kinds, std::vector<std::string> words, std::string_view example, std::string_view text,
                     Instant time) {
  if (kinds.size() >= kMostKinds && !kinds.contains(words)) words = {"(others)"};
  Tally& tally = kinds[std::move(words)];
  if (tally.count++ == 0) {
    tally.example = example;
    tally.text = text;
  }
  tally.last = std::max(tally.last, time);
}

void DayReport::limits(const json::object& judged) {
  for (const json::value& value : array_at(judged, "limits")) {
    if (!value.is_object()) continue;
    const json::object& l = value.get_object();
    const double most = number_at(l, "limit");
    const bool full = !flag_at(l, "fits");
    const double part = most <= 0 ? 0 : (number_at(l, "used") + (full ? 0 : number_at(l, "cost"))) / most;
    if (part < kNearlyFull) continue;
    Limit limit{text_at(l, "rule"), text_at(l, "key"),
                fmt::format("{:.0f} {} / {}", most, text_at(l, "unit"), text_at(l, "window")), part, full};
    std::string name = fmt::format("{}\n{}\n{}", limit.rule, limit.key, limit.window);
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
  if (action != "refuse") return;
  const json::object& reply = object_at(judged, "reply");
  const std::string classification = text_at(judged, "classification");
  const std::string reason(info_of(reason_of_class(classification)).slug);
  note(refusals, {rule, classification, text_at(judged, "bounce"), reason},
       text_at(judged, "ref").empty() ? text_at(record, "ref") : text_at(judged, "ref"),
       fmt::format("{:.0f} {} {}", number_at(reply, "code"), text_at(reply, "enhanced"), text_at(reply, "text")), time);
}

void DayReport::record(const json::object& record, Instant time) {
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

void DayReport::ended(const RemoteStatus& status, std::string_view id, Kinds& others, Instant time) {
  const Explained explained = book_.explain(status);
  const std::string slug(info_of(explained.reason).slug);
  const std::string advice = explained.advice.empty() ? "" : std::string(explained.advice.front());
  const std::string text =
      fmt::format("{}{}", status.code ? fmt::format("{} ", *status.code) : "", without_controls(status.text));
  note(is_about_us(explained.reason) ? blocked : others, {who_answered(status, explained), slug, advice}, id, text,
       time);
  if (explained.dead == true && &others == &failed) note(dead, {status.recipient, slug}, id, text, time);
}

void DayReport::attempt(Instant now, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
                        bool handed_on) {
  if (now < since_ || handed_on || mail == nullptr) return;
  RemoteStatus status = status_of(event);
  status.recipient = recipient;
  if (status.told == Severity::transient) {
    if (kept_ >= kMostDeferred) return;
    if (deferred_[mail->id].insert_or_assign(status.recipient, std::pair(status, now)).second) ++kept_;
    return;
  }
  if (const auto found = deferred_.find(mail->id); found != deferred_.end()) {
    kept_ -= found->second.erase(status.recipient);
    if (found->second.empty()) deferred_.erase(found);
  }
  if (status.told == Severity::success) {
    ++delivered;
  } else {
    ++bounced;
    ended(status, mail->id, failed, now);
  }
}

void DayReport::expired(Instant now, const LoggedMail* mail) {
  const auto found = mail == nullptr ? deferred_.end() : deferred_.find(mail->id);
  if (found == deferred_.end()) return;
  for (const auto& [recipient, last] : found->second) {
    ++bounced;
    ended(last.first, mail->id, failed, now);
  }
  kept_ -= found->second.size();
  deferred_.erase(found);
}

void DayReport::refusal(Instant now, const LogEvent& event) {
  // What a filter refuses is in its own records.
  if (now < since_ || event.kind != LogEventKind::refusal || event.by_filter) return;
  // To the client it is the answer of a remote server.
  RemoteStatus status = status_of(event);
  status.own = false;
  const std::string reason(info_of(book_.explain(status).reason).slug);
  note(own, {kind_of_reply(event.text), reason}, event.text, event.client_ip, now);
}

void DayReport::finish() {
  waiting = static_cast<std::int64_t>(kept_);
  for (const auto& [id, recipients] : deferred_) {
    for (const auto& [recipient, last] : recipients) ended(last.first, id, deferred, last.second);
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
  return blocked.empty() && failed.empty() && deferred.empty() && refusals.empty() && own.empty() && limits_.empty() &&
         fresh.empty() && (policies.size() < 2);
}

}  // namespace replygate
