// Random mail and what becomes of it, played to the real session, ledger and store, and to a model that was written
// from conf/POLICY.md alone: one final outcome for each recipient, windows, shares with a floor, log lines that come
// again after a restart, outcomes that are counted again after a kill. Every answer must be the model's.
//
//   outcomes_oracle [sequences [seed]]   3000

#include <fmt/format.h>

#include <cstdlib>
#include <map>
#include <random>

#include "milter/bounce/status_files.h"
#include "milter/outcome/outcome_ledger.h"
#include "milter/outcome/sent_mail.h"
#include "policy/count/store_memory.h"
#include "policy/decide/outcomes.h"
#include "policy/decide/session.h"
#include "tests/support/world.h"

namespace replygate::oracle {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr Instant kBegin{hours(490000)};

// What the model knows of time: charges of one hundredth of a period leave together, a period after its end.
struct Counted {
  std::string key;
  Instant at;
};
std::int64_t count_of(const std::vector<Counted>& all, const std::string& key, Instant now, Duration period) {
  const auto width = period.count() / 100;
  return std::ranges::count_if(all, [&](const Counted& c) {
    const auto slot = c.at.time_since_epoch().count() / width;
    return c.key == key && now.time_since_epoch().count() < (slot + 1) * width + period.count();
  });
}

enum class Fate { delivered, deferred, bounced, blocked, failed };

struct Numbers {  // of the policy
  std::int64_t percent, floor, blocked, deferrals;
  std::int64_t share_hours, limit_hours;
  bool all;

  std::string policy() const {
    return fmt::format(R"(
[site]
local_domains = ["local.test"]
relay = "mta"
[outcomes]
log = "/var/log/mail.log"
[[rule]]
name = "share"
per = "sender"
limit = "{}% hard_bounces / {}h"
at_least = "{} recipients"
reply = 450
[[rule]]
name = "limits"
per = "client_ip"
limit = ["{} blocked / {}h", "{} deferrals / {}h"]
outcomes_of = "{}"
reply = 451
)",
                       percent, share_hours, floor, blocked, limit_hours, deferrals, limit_hours, all ? "all" : "sent");
  }
};

struct Recipient {
  std::string address;
  bool final = false;
  bool deferred = false;
};
struct Mail {
  std::string id, sender, ip;
  std::vector<Recipient> recipients;
};

class Model {
 public:
  explicit Model(const Numbers& n) : n_(n) {}

  // 0: it is let through; else the code.
  int answer(const std::string& sender, const std::string& ip, Instant now, std::int64_t before) const {
    if (!sender.empty()) {
      const auto all = count_of(sent_, sender, now, hours(n_.share_hours)) + before;
      const auto dead = count_of(hard_, sender, now, hours(n_.share_hours));
      if (all >= n_.floor && dead > 0 && dead * 100 >= n_.percent * all) return 450;
    }
    if (count_of(blocked_, ip, now, hours(n_.limit_hours)) >= n_.blocked) return 451;
    return count_of(deferred_, ip, now, hours(n_.limit_hours)) >= n_.deferrals ? 451 : 0;
  }
  void accepted(const Mail& mail, Instant now) {
    for (std::size_t i = 0; i < mail.recipients.size() && !mail.sender.empty(); ++i)
      sent_.push_back({mail.sender, now});
  }
  void becomes(const Mail& mail, Recipient& recipient, Fate fate, Instant now, bool forwarded) {
    if (recipient.final || (fate == Fate::deferred && recipient.deferred)) return;
    if (fate == Fate::deferred) recipient.deferred = true;
    if (fate != Fate::deferred) recipient.final = true;
    const bool unmeant = forwarded || mail.sender.empty();
    if (fate == Fate::bounced && !unmeant) hard_.push_back({mail.sender, now});
    if (unmeant && !n_.all) return;
    if (fate == Fate::blocked) blocked_.push_back({mail.ip, now});
    if (fate == Fate::deferred) deferred_.push_back({mail.ip, now});
  }

 private:
  Numbers n_;
  std::vector<Counted> sent_, hard_, blocked_, deferred_;
};

class Kept final : public RecordSink {
 public:
  void write(Record record) override { last = std::move(record); }
  std::optional<Record> last;
};

std::string line_of(const std::string& id, const std::string& to, Fate fate, const std::string& original) {
  static const std::map<Fate, std::tuple<const char*, const char*, const char*>> kSaid = {
      {Fate::delivered, {"2.0.0", "sent", "250 2.0.0 Ok"}},
      {Fate::deferred,
       {"4.2.2", "deferred", "host mx[192.0.2.9] said: 452 4.2.2 mailbox full (in reply to RCPT TO command)"}},
      {Fate::bounced,
       {"5.1.1", "bounced", "host mx[192.0.2.9] said: 550 5.1.1 no such user (in reply to RCPT TO command)"}},
      {Fate::blocked,
       {"5.7.1", "bounced",
        "host mx[192.0.2.9] said: 554 5.7.1 Service unavailable; Client host [198.51.100.1] blocked using "
        "zen.spamhaus.org "
        "(in reply to RCPT TO command)"}},
      {Fate::failed,
       {"5.3.4", "bounced", "host mx[192.0.2.9] said: 552 5.3.4 message too big (in reply to end of DATA command)"}}};
  const auto& [dsn, status, text] = kSaid.at(fate);
  return fmt::format(
      "mx postfix/smtp[1]: {}: to=<{}>, {}relay=mx[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn={}, status={} ({})", id,
      to, original.empty() ? "" : "orig_to=<" + original + ">, ", dsn, status, text);
}

// The real parts, as the daemon puts them together.
class Real {
 public:
  Real(const Numbers& numbers, StatusBook& book)
      : policy_(test::policy_from(numbers.policy())),
        book_(book),
        db_(OutcomeDatabase::open(":memory:", aside_).value()) {
    begin_anew();
  }

  // The codes of the recipients; what is kept goes to the file.
  std::vector<int> send(const Mail& mail, Instant now) {
    Session session(policy_, {gate_, kept_, references_}, {});
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
    if (const auto sent = sent_mail(*kept_.last)) {
      db_->begin();
      file_->add(sent->sending, sent->recipients);
      if (!db_->commit()) std::abort();
    }
    return codes;
  }
  void line(const std::string& line, Instant now) {
    lines_.emplace_back(line, now);
    take(lines_.back(), false, now);
  }
  // After a kill: some lines are read again, known as such or not, and what was counted last is counted again.
  void restart(std::size_t again, bool known, Instant now) {
    begin_anew();
    for (std::size_t i = lines_.size() - std::min(again, lines_.size()); i < lines_.size(); ++i)
      take(lines_[i], known, now);
    for (const auto& [charges, at] : charged_) {
      if (at == now) store_.take_now(charges, false, now);
    }
  }

 private:
  void begin_anew() {
    file_ = std::make_unique<OutcomeFile>(*db_);
    ledger_ = std::make_unique<OutcomeLedger>(*file_, book_);
  }
  void take(const std::pair<std::string, Instant>& line, bool again, Instant now) {
    db_->begin();
    ledger_->take(line.second, read_log_event("Nov 24 10:00:00 " + line.first), again);
    const auto outcomes = ledger_->outcomes();
    if (!db_->commit()) std::abort();
    for (const MailOutcome& o : outcomes) {
      const auto unit = unit_of(o.kind);
      for (const OutcomeKey& key : o.keys) {
        if (!unit) continue;
        const auto charges =
            charges_of_outcome(*policy_, key,
                               {*unit, o.sending.queue_id + (o.became.empty() ? o.recipient : o.became), o.time,
                                o.sending.sender.empty() || !o.became.empty()},
                               now);
        if (charges.empty()) continue;
        store_.take_now(charges, false, now);
        charged_.emplace_back(charges, now);
      }
    }
  }

  std::shared_ptr<const Policy> policy_;
  StatusBook& book_;
  std::string aside_;
  std::unique_ptr<OutcomeDatabase> db_;
  std::unique_ptr<OutcomeFile> file_;
  std::unique_ptr<OutcomeLedger> ledger_;
  MemoryStore store_;
  Gate gate_{store_};
  References references_{1};
  Kept kept_;
  std::vector<std::pair<std::string, Instant>> lines_;
  std::vector<std::pair<std::vector<Charge>, Instant>> charged_;
};

class Sequence {
 public:
  Sequence(std::uint64_t seed, StatusBook& book)
      : random_(seed), numbers_(make_numbers()), model_(numbers_), real_(numbers_, book) {}

  // "" where all answers were the model's.
  std::string play() {
    for (int i = 0; i < 80; ++i) {
      const int what = below(10);
      if (what < 4) {
        if (std::string wrong = submit(); !wrong.empty()) return wrong + '\n' + acts_ + numbers_.policy();
      } else if (what < 8) {
        become();
      } else if (what < 9) {
        now_ += seconds(below(4) == 0 ? below(3 * 3600) : below(120));
      } else {
        real_.restart(static_cast<std::size_t>(below(20)), below(2) == 0, now_);
        acts_ += "restart\n";
      }
    }
    return "";
  }
  std::int64_t refused() const { return refused_; }
  std::int64_t answers() const { return answers_; }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  Numbers make_numbers() {
    return {.percent = 1 + below(60),
            .floor = 1 + below(15),
            .blocked = 1 + below(6),
            .deferrals = 1 + below(10),
            .share_hours = 1 + below(3),
            .limit_hours = 1 + below(3),
            .all = below(2) == 0};
  }

  std::string submit() {
    Mail mail{.id = fmt::format("{:05}ABCDE", mails_.size()),
              .sender = below(5) == 0 ? "" : fmt::format("s{}@local.test", below(2)),
              .ip = fmt::format("192.0.2.{}", 1 + below(2)),
              .recipients = {}};
    const int count = 1 + below(6);
    for (int i = 0; i < count; ++i) mail.recipients.push_back({.address = fmt::format("r{}@there.test", i)});
    std::vector<int> expected;
    std::vector<Recipient> kept;
    for (const Recipient& r : mail.recipients) {
      expected.push_back(model_.answer(mail.sender, mail.ip, now_, static_cast<std::int64_t>(kept.size())));
      if (expected.back() == 0) kept.push_back(r);
    }
    const std::vector<int> got = real_.send(mail, now_);
    acts_ += fmt::format("{} {} from {} to {}: {}\n", now_.time_since_epoch().count(), mail.id, mail.sender, count,
                         fmt::join(got, " "));
    answers_ += count;
    refused_ += count - static_cast<std::int64_t>(kept.size());
    mail.recipients = std::move(kept);
    if (!mail.recipients.empty()) {
      model_.accepted(mail, now_);
      mails_.push_back(std::move(mail));
    }
    return got == expected ? "" : fmt::format("expected {}, got {}", fmt::join(expected, " "), fmt::join(got, " "));
  }

  // Of any of our messages, or of none of ours.
  void become() {
    const auto fate = static_cast<Fate>(below(5));
    if (mails_.empty() || below(12) == 0) return real_.line(line_of("FFFFF99999", "r0@there.test", fate, ""), now_);
    Mail& mail = mails_[static_cast<std::size_t>(below(static_cast<int>(mails_.size())))];
    Recipient& r = mail.recipients[static_cast<std::size_t>(below(static_cast<int>(mail.recipients.size())))];
    const bool forwarded = below(8) == 0;
    const std::string to = forwarded ? "x" + r.address : r.address;
    Recipient& what = forwarded ? forwarded_.try_emplace(mail.id + to, Recipient{to}).first->second : r;
    model_.becomes(mail, what, fate, now_, forwarded);
    const std::string line = line_of(mail.id, to, fate, forwarded ? r.address : "");
    acts_ += line + '\n';
    real_.line(line, now_);
  }

  std::mt19937_64 random_;
  Numbers numbers_;
  Instant now_ = kBegin;
  Model model_;
  Real real_;
  std::vector<Mail> mails_;
  std::map<std::string, Recipient> forwarded_;
  std::string acts_;
  std::int64_t refused_ = 0;
  std::int64_t answers_ = 0;
};

int run(std::uint64_t sequences, std::uint64_t seed) {
  const auto book = open_status_book("");
  if (!book) {
    fmt::print("{}\n", book.error());
    return 1;
  }
  std::int64_t answers = 0;
  std::int64_t refused = 0;
  for (std::uint64_t i = 0; i < sequences; ++i) {
    Sequence sequence(seed + i, **book);
    const std::string wrong = sequence.play();
    answers += sequence.answers();
    refused += sequence.refused();
    if (wrong.empty()) continue;
    fmt::print("sequence {}: {}\n", seed + i, wrong);
    return 1;
  }
  fmt::print("{} sequences, {} answers as the model's, {} of them refusals\n", sequences, answers, refused);
  return refused > answers / 100 ? 0 : 1;
}

}  // namespace
}  // namespace replygate::oracle

int main(int argc, char** argv) {
  return replygate::oracle::run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 3000,
                                argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
}
