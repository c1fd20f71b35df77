#include "tests/oracle/outcomes_real.h"

#include <algorithm>
#include <cstdlib>

#include "milter/outcome/outcome_record.h"
#include "milter/outcome/sent_mail.h"
#include "policy/decide/outcomes.h"
#include "tests/support/world.h"

namespace replygate::oracle {

void Real::Records::write(Record record) {
  lines.push_back(to_json(record));
  last = std::move(record);
}

Real::Real(const Numbers& numbers, StatusBook& book)
    : policy_(test::policy_from(numbers.policy())),
      book_(book),
      db_(OutcomeDatabase::open(":memory:", aside_).value()),
      dead_(std::make_unique<DeadList>(*db_, policy_->settings().outcomes, clock_)) {
  begin_anew();
}

std::vector<int> Real::send(const Mail& mail, Instant now) {
  clock_.pass(now - clock_.now());
  Session session(policy_, {gate_, records_, references_, nullptr, nullptr, dead_.get()}, {});
  std::vector<int> codes;
  session.connect({.ip = IpAddress::parse(mail.ip), .port = 40000, .listener = "smtp"}, now, [](const Answer&) {});
  session.mail({.sender = '<' + mail.sender + '>', .queue_id = mail.id}, now, [](const Answer&) {});
  for (const Recipient& r : mail.recipients) {
    session.rcpt({.recipient = '<' + r.address + '>', .route = "smtp"}, now,
                 [&](const Answer& a) { codes.push_back(a.refusal ? a.refusal->code() : 0); });
  }
  if (std::ranges::count(codes, 0) == 0) {
    session.abort(now);
    return codes;
  }
  session.end_of_message(now, [](const Answer&) {});
  if (const auto sent = sent_mail(*records_.last)) {
    db_->begin();
    file_->add(sent->sending, sent->recipients);
    if (!db_->commit()) std::abort();
  }
  return codes;
}

void Real::line(const std::string& line, Instant now) {
  lines_.emplace_back(line, now);
  take(lines_.back(), false, now);
}

void Real::report(const std::string& id, const std::string& recipient, bool complaint, Instant now) {
  OutcomeLedger::Report report{.queue_ids = {id}};
  report.statuses.push_back({.text = complaint ? "Feedback-Type: abuse" : "550 5.1.1 no such user",
                             .recipient = recipient,
                             .told = Severity::permanent});
  if (!complaint) report.statuses.back().code = 550;
  db_->begin();
  ledger_->take(now, report);
  count(ledger_->outcomes(), now);
  if (!db_->commit()) std::abort();
}

void Real::restart(std::size_t again, bool known, Instant now) {
  begin_anew();
  dead_ = std::make_unique<DeadList>(*db_, policy_->settings().outcomes, clock_);
  for (std::size_t i = lines_.size() - std::min(again, lines_.size()); i < lines_.size(); ++i) {
    take(lines_[i], known, now);
  }
  for (const auto& [charges, at] : charged_) {
    if (at == now) store_.take_now(charges, false, now);
  }
}

void Real::begin_anew() {
  file_ = std::make_unique<OutcomeFile>(*db_);
  ledger_ = std::make_unique<OutcomeLedger>(*file_, book_);
}

void Real::take(const std::pair<std::string, Instant>& line, bool again, Instant now) {
  db_->begin();
  ledger_->take(line.second, read_log_event("Nov 24 10:00:00 " + line.first), again);
  count(ledger_->outcomes(), now);
  if (!db_->commit()) std::abort();
}

void Real::note_dead(const MailOutcome& o) {
  const std::string& address = o.became.empty() ? o.recipient : o.became;
  if (o.kind == OutcomeKind::delivered) {
    dead_->clear(address);
  } else if (o.kind == OutcomeKind::hard_bounce && o.source == MailOutcome::Source::log) {
    dead_->report(address, o.time, o.explained.reason, o.status.text);
  }
}

void Real::count(std::deque<MailOutcome> outcomes, Instant now) {
  for (MailOutcome& o : outcomes) {
    note_dead(o);
    const auto unit = unit_of(o.kind);
    for (const OutcomeKey& key : o.keys) {
      if (!unit) continue;
      const bool unmeant = o.sending.sender.empty() || !o.became.empty();
      const std::string member = o.sending.queue_id + (o.became.empty() ? o.recipient : o.became);
      const auto charges = charges_of_outcome(*policy_, key, {*unit, member, o.time, unmeant}, now);
      if (charges.empty()) continue;
      store_.take_now(charges, false, now);
      charged_.emplace_back(charges, now);
    }
    o.counted = now;
    o.counted_ref = references_.next();
    records_.lines.push_back(outcome_line(o));
  }
}

}  // namespace replygate::oracle
