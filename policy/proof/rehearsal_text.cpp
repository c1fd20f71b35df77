#include <fmt/format.h>

#include <algorithm>

#include "policy/mail/text.h"
#include "policy/proof/rehearsal.h"

namespace replygate {
namespace {

std::string mailbox_text(const MailboxUse& use) {
  if (use.state == MailboxUse::State::used) return fmt::format(" (mailbox {}% full)", use.percent);
  return use.state == MailboxUse::State::none ? " (no mailbox of that name)" : " (how full its mailbox is is unknown)";
}

std::int64_t seconds_between(Instant from, Instant to) {
  return std::chrono::duration_cast<std::chrono::seconds>(to - from).count();
}

}  // namespace

bool Rehearsal::named(Fact fact) const {
  return std::ranges::any_of(policy_.rules(), [&](const Rule& rule) { return rule.needs(fact); });
}

// How long the client waits before it goes on.
std::string Rehearsal::waits_text(const Timeline& timeline) {
  constexpr std::array<std::string_view, kStages.size()> kBefore = {"",     "EHLO",     "MAIL",   "RCPT",
                                                                    "DATA", "the body", "the end"};
  std::string text;
  for (std::size_t i = 1; i < kStages.size(); ++i) {
    const bool early = timeline.earlier && kStages[i] == Stage::rcpt;
    const std::int64_t waited = seconds_between(timeline.at[i - 1], early ? timeline.earlier_at : timeline.at[i]);
    if (waited > 0) text += fmt::format(", {} s before {}", waited, kBefore[i]);
    const std::int64_t more = early ? seconds_between(timeline.earlier_at, timeline.at[i]) : 0;
    if (more > 0) text += fmt::format(", {} s before the last RCPT", more);
  }
  return text;
}

std::string Rehearsal::connection_text(const Timeline& timeline) const {
  const Connection& c = timeline.model.connection;
  std::string text = fmt::format("client {}", c.ip_text);
  if (c.name != "unknown") text += fmt::format(" ({})", c.name);
  if (c.port != 40000) text += fmt::format(", port {}", c.port);
  if (c.listener != "smtp") text += fmt::format(", listener \"{}\"", c.listener);
  const auto time = [&](Stage stage) {
    const Instant at = timeline.at[static_cast<std::size_t>(stage)];
    const LocalTime local = timeline.model.zone->local(at);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(at - std::chrono::floor<std::chrono::minutes>(at));
    const std::string rest = seconds.count() > 0 ? fmt::format(":{:02}", seconds.count()) : "";
    return fmt::format("{} {:02}:{:02}{}", weekday_name(local.weekday), local.minute / 60, local.minute % 60, rest);
  };
  if (named(Fact::time) || named(Fact::weekday)) text += fmt::format(", connected on {}", time(Stage::connect));
  text += c.helo.empty() ? ", no EHLO" : fmt::format(", EHLO {}", c.helo);
  return text + waits_text(timeline);
}

std::string Rehearsal::transaction_text(const Timeline& timeline) const {
  const Transaction& t = timeline.model.transaction;
  const std::int64_t messages = timeline.model.connection.messages;
  std::string text = fmt::format(", MAIL FROM:{}", t.sender_raw);
  if (t.declared_size > 0) text += fmt::format(" SIZE={}", t.declared_size);
  if (t.smtputf8) text += " SMTPUTF8";
  if (messages > 1) text += fmt::format(" as message {} of the session", messages);
  const Recipient& r = timeline.model.recipient;
  const bool route = named(Fact::recipient_route) || (named(Fact::external) && !policy_.site().knows_domains());
  const std::string_view local = route && '<' + filler_ + '>' != r.raw ? " (route \"local\")" : "";
  if (before_ > 0) text += fmt::format(", {} times RCPT TO:<{}>{}", before_, filler_, local);
  text += fmt::format(", RCPT TO:{}", r.raw);
  if (route) text += r.route ? fmt::format(" (route \"{}\")", *r.route) : " (the MTA tells no route)";
  if (named(Fact::mailbox_used)) {
    text += mailbox_text(r.mailbox_used);
  }
  if (named(Fact::recipient_dead) && r.dead) text += " (which was reported dead)";
  if (behind_ > 0) text += fmt::format(", then {} times RCPT TO:<{}>{}", behind_, filler_, local);
  return text + refusals_text();
}

std::string Rehearsal::refusals_text() const {
  constexpr std::array<std::string_view, 3> kWhere = {"of messages before EHLO comes again",
                                                      "of messages before this one", "of this RCPT"};
  std::string places;
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < kWhere.size(); ++i) {
    sum += refusals_[i];
    if (refusals_[i] > 0) places += fmt::format("{}{} {}", places.empty() ? "" : ", ", refusals_[i], kWhere[i]);
  }
  return sum == 0 ? "" : fmt::format(", after {} ({})", counted(sum, "refusal"), places);
}

std::string Rehearsal::message_text(const Timeline& timeline) const {
  const Tls& tls = timeline.model.connection.tls;
  const Transaction& t = timeline.model.transaction;
  std::string text;
  if (!tls.version.empty()) text += fmt::format(", over TLS ({}", tls.version);
  if (!tls.version.empty() && named(Fact::tls_cipher)) text += fmt::format(", cipher \"{}\"", tls.cipher);
  if (!tls.version.empty() && named(Fact::tls_bits)) text += fmt::format(", {} bits", tls.bits);
  if (!tls.subject.empty()) text += fmt::format(", certificate of \"{}\"", tls.subject);
  if (!tls.issuer.empty()) text += fmt::format(", issued by \"{}\"", tls.issuer);
  if (!tls.version.empty()) text += ')';
  for (const Header& header : t.headers) text += fmt::format(", {}: {}", header.name, header.value);
  if (named(Fact::header_count)) text += fmt::format(", {} header fields", t.header_count);
  if (named(Fact::size)) text += fmt::format(", {}", counted(t.size, "octet"));
  if (named(Fact::queue_id)) text += fmt::format(", queue id {}", t.queue_id);
  if (again_after_ != Duration{}) {
    text += fmt::format(", again after {} s", seconds_between({}, Instant(again_after_)));
  }
  if (filled_ > 0)
    text += fmt::format(", after {} to <{}>, each in a session", counted(filled_, "message"), filled_to_);
  if (sessions_ > 1) text += fmt::format(", while {} such sessions more are open", sessions_ - 1);
  return text;
}

std::string Rehearsal::text(const Timeline& timeline) const {
  return connection_text(timeline) + transaction_text(timeline) + message_text(timeline);
}

}  // namespace replygate
