#include "milter/outcome/past_records.h"

#include <boost/json.hpp>
#include <memory>
#include <utility>

#include "milter/bounce/status_files.h"
#include "milter/json_members.h"
#include "milter/log/history_scan.h"
#include "milter/outcome/logged_outcomes.h"
#include "policy/decide/outcomes.h"
#include "policy/decide/refs.h"
#include "policy/scenario/scenario.h"

namespace replygate {
namespace {

namespace json = boost::json;

constexpr FactSet kBeyondRecords = bit(Fact::declared_size) | bit(Fact::smtputf8) | bit(Fact::tls_subject) |
                                   bit(Fact::tls_issuer) | bit(Fact::auth_mechanism) | bit(Fact::header) |
                                   bit(Fact::header_count) | bit(Fact::session_age);
constexpr FactSet kBeyondLogs = (kBeyondRecords & ~bit(Fact::auth_mechanism)) | bit(Fact::client_port) |
                                bit(Fact::listener) | bit(Fact::helo) | bit(Fact::tls) | bit(Fact::tls_version) |
                                bit(Fact::tls_cipher) | bit(Fact::tls_bits) | bit(Fact::messages) |
                                bit(Fact::refusals) | bit(Fact::recipient_route) | bit(Fact::mta_refused) |
                                bit(Fact::mailbox_used) | bit(Fact::digest);

std::int64_t whole_at(const json::object& object, std::string_view key) {
  return static_cast<std::int64_t>(number_at(object, key));
}

// What was said; `judged` has the keys of a recipient.
PastAnswer past_answer_of(const json::object& judged) {
  PastAnswer answer;
  answer.rule = text_at(judged, "rule");
  if (text_at(judged, "action") != "refuse") return answer;
  answer.code = static_cast<int>(number_at(object_at(judged, "reply"), "code"));
  const std::string cause = text_at(judged, "cause");
  answer.unknown = cause == "unknown";
  answer.limit = cause == "limit" || cause == "never-fits";
  return answer;
}

Ending past_ending_of(std::string_view outcome) {
  if (outcome == "accepted") return Ending::accepted;
  return outcome == "refused" ? Ending::refused : Ending::aborted;
}

PastRecipient past_recipient_of(const json::object& judged) {
  PastRecipient r;
  r.address = text_at(judged, "recipient");
  r.ref = text_at(judged, "ref");
  r.number = References::number_of(r.ref).value_or(0);
  if (judged.contains("route")) r.route = text_at(judged, "route");
  if (judged.contains("mailbox_used")) r.mailbox_used = whole_at(judged, "mailbox_used");
  r.dead = flag_at(judged, "recipient_dead");
  r.mta_refused = text_at(judged, "action") == "mta-refused";
  if (r.mta_refused) {
    r.mta_status = text_at(object_at(judged, "reply"), "enhanced");
    r.mta_text = text_at(object_at(judged, "reply"), "text");
  }
  r.answer = past_answer_of(judged);
  return r;
}

void take_session(const json::object& record, PastTransaction& t) {
  t.session = text_at(record, "session");
  t.client_ip = text_at(record, "client_ip");
  t.client_name = text_at(record, "client_name");
  t.client_port = whole_at(record, "client_port");
  t.listener = text_at(record, "listener");
  t.helo = text_at(record, "helo");
  t.tls.version = text_at(record, "tls_version");
  t.tls.cipher = text_at(record, "tls_cipher");
  t.tls.bits = whole_at(record, "tls_bits");
  t.local = flag_at(record, "local_submission");
}

// As outcome_line() begins them.
bool is_outcome_record(std::string_view line) { return line.substr(0, 60).find("\"event\":\"outcome\"") != line.npos; }

class Logged final : public MailTrail::Listener {
 public:
  // `outcomes` may be null.
  Logged(const PastTaker& take, LoggedOutcomes* outcomes) : take_(take), outcomes_(outcomes) {}
  void mail(const LoggedMail& mail) override { take_.transaction(past_of_mail(mail, count++)); }
  void attempt(Instant now, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
               bool handed_on) override {
    if (mail != nullptr && !handed_on && outcomes_ != nullptr) outcomes_->attempt(now, *mail, event, recipient);
  }
  void refusal(Instant, const LogEvent&) override {}
  void expired(Instant now, const LoggedMail* mail, std::string_view id) override {
    if (mail != nullptr && outcomes_ != nullptr) outcomes_->expired(now, *mail, id);
  }
  void over(const LoggedMail& mail) override {
    if (outcomes_ != nullptr) outcomes_->over(mail);
  }
  std::uint64_t count = 0;

 private:
  const PastTaker& take_;
  LoggedOutcomes* outcomes_;
};

tl::expected<PastFigures, std::string> read_logs(const std::vector<std::string>& files, const PastTaker& take,
                                                 const TellProgress& progress) {
  PastFigures figures;
  std::unique_ptr<StatusBook> book;
  std::optional<LoggedOutcomes> outcomes;
  if (take.outcome) {
    auto opened = open_status_book(kStatusFolder);
    if (!opened) return tl::unexpected(opened.error());
    book = *std::move(opened);
    outcomes.emplace(*book, [&](PastOutcome outcome) {
      ++figures.outcomes;
      take.outcome(std::move(outcome));
    });
  }
  Logged logged(take, outcomes ? &*outcomes : nullptr);
  auto read = read_mail_logs(files, logged, progress);
  if (!read) return tl::unexpected(read.error());
  figures.log = *std::move(read);
  figures.transactions = static_cast<std::int64_t>(logged.count);
  return figures;
}

}  // namespace

tl::expected<bool, std::string> tells_outcomes(const PastSource& source) {
  return source.history.empty() ? true : history_has(source.history, is_outcome_record);
}

Ignorance ignorance_of(const PastSource& source, bool outcomes) {
  std::vector<Unit> unknown = {Unit::connections};
  if (source.history.empty()) {  // complaints come by mail
    unknown.insert(unknown.end(), {Unit::complaints, Unit::refusals, Unit::unknown_recipients});
    return {"a mail log", kBeyondLogs, std::move(unknown)};
  }
  if (outcomes) return {"a record", kBeyondRecords, std::move(unknown)};
  unknown.insert(unknown.end(), kOutcomeUnits.begin(), kOutcomeUnits.end());
  return {"a history without outcomes", kBeyondRecords | bit(Fact::recipient_dead), std::move(unknown)};
}

std::optional<PastTransaction> past_of_record(std::string_view line) {
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::object& record = value.get_object();
  const auto time = parse_time(text_at(record, "time"));
  if (!time || text_at(record, "door") != "milter") return std::nullopt;
  PastTransaction t;
  t.time = *time;
  t.policy = text_at(record, "policy");
  t.ref = text_at(record, "ref");
  t.number = References::number_of(t.ref).value_or(0);
  take_session(record, t);
  t.user = text_at(record, "user");
  t.sender = text_at(record, "sender");
  t.queue_id = text_at(record, "queue_id");
  t.size = whole_at(record, "size");
  t.digest = text_at(record, "digest");
  t.ending = past_ending_of(text_at(record, "outcome"));
  t.message = past_answer_of(object_at(record, "message"));
  t.timed = record.contains("open_ms");
  t.begun = t.time - std::chrono::milliseconds(whole_at(record, "open_ms"));
  for (const json::value& judged : array_at(record, "recipients")) {
    if (!judged.is_object()) continue;
    t.recipients.push_back(past_recipient_of(judged.get_object()));
    t.recipients.back().time = t.time - std::chrono::milliseconds(whole_at(judged.get_object(), "before_ms"));
  }
  return t;
}

std::optional<PastOutcome> past_outcome_of_record(std::string_view line) {
  if (!is_outcome_record(line)) return std::nullopt;
  boost::system::error_code error;
  const json::value value = json::parse(line, error);
  if (error || !value.is_object()) return std::nullopt;
  const json::object& record = value.get_object();
  const json::array& recipients = array_at(record, "recipients");
  const auto time = parse_time(text_at(record, "time"));
  if (!time || recipients.empty() || !recipients.front().is_object()) return std::nullopt;
  const json::object& recipient = recipients.front().get_object();
  const auto kind = outcome_kind_from(text_at(recipient, "outcome"));
  if (!kind) return std::nullopt;
  PastOutcome outcome{.time = *time,
                      .counted = parse_time(text_at(record, "counted")).value_or(*time),
                      .mail = text_at(record, "ref"),
                      .recipient = text_at(recipient, "recipient"),
                      .became = text_at(recipient, "became"),
                      .kind = *kind,
                      .reported = text_at(recipient, "told_by") == "report"};
  if (const auto number = References::number_of(text_at(record, "counted_ref"))) outcome.number = *number;
  return outcome;
}

PastTransaction past_of_mail(const LoggedMail& mail, std::uint64_t number) {
  PastTransaction t;
  t.time = mail.time;
  t.session = std::to_string(number);
  t.number = number;
  t.begun = mail.time;
  t.client_ip = mail.client_ip;
  if (!mail.client_name.empty()) t.client_name = mail.client_name;
  t.user = mail.user;
  t.mechanism = mail.mechanism;
  t.sender = mail.sender;
  t.queue_id = mail.id;
  t.size = mail.size;
  t.local = mail.local;
  for (const std::string& recipient : mail.recipients) {
    PastRecipient r;
    r.address = recipient;
    r.number = number;
    r.time = mail.time;
    t.recipients.push_back(std::move(r));
  }
  return t;
}

tl::expected<PastFigures, std::string> read_past(const PastSource& source, const PastTaker& take,
                                                 const TellProgress& progress) {
  if (source.history.empty()) return read_logs(source.files, take, progress);
  PastFigures figures;
  const auto take_outcome = [&](std::string_view line) {
    auto outcome = take.outcome ? past_outcome_of_record(line) : std::nullopt;
    if (!outcome) return;
    ++figures.outcomes;
    take.outcome(*std::move(outcome));
  };
  const auto take_record = [&](std::string_view line) {
    if (is_outcome_record(line)) return take_outcome(line);
    auto past = past_of_record(line);
    ++(past ? figures.transactions : figures.left_out);
    if (past) take.transaction(*std::move(past));
  };
  const auto tell = [&](const ScanProgress& p) {
    if (progress) progress({p.records, p.octets, p.of_octets});
  };
  const auto scanned = scan_history(source.history, take_record, tell);
  if (!scanned) return tl::unexpected(scanned.error());
  return figures;
}

}  // namespace replygate
