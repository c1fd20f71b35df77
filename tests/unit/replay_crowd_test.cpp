// Many sessions at once, and what becomes of their mail meanwhile: the policy that made such a history reproduces it.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "milter/bounce/status_files.h"
#include "milter/outcome/outcome_record.h"
#include "milter/outcome/past_records.h"
#include "milter/outcome/replay_report.h"
#include "milter/outcome/sent_mail.h"
#include "policy/decide/outcomes.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using std::chrono::milliseconds;

constexpr const char* kCrowdPolicy = R"(
[site]
local_domains = ["here.example"]
[outcomes]
log = "/var/log/mail.log"
[[rule]]
name = "dead"
when = { recipient_dead = true, sender = "/^[st]0/" }
reply = "unknown-user"
[[rule]]
name = "quota"
per = "sender"
limit = "40 recipients / 10m"
reply = "quota-exceeded"
[[rule]]
name = "thief"
per = "sender"
limit = ["30% hard_bounces / 30m", "4 blocked / 1h"]
at_least = "10 recipients"
reply = 450
escalate = [{ after = "8 refusals / 1h", reply = 550 }]
[[rule]]
name = "watched"
per = ["client_ip", "sender"]
limit = "9 deliveries / 10m"
mode = "observe"
reply = 451
[[rule]]
name = "slow"
per = "client_net"
limit = ["25 deferrals / 20m", "6 complaints / 1h"]
outcomes_of = "all"
reply = 451
)";

// The daemon's parts with a clock that stands still until it is moved, and the history that they write.
class House final : public RecordSink, public DeadAddresses {
 public:
  explicit House(StatusBook& book) : policy(test::policy_from(kCrowdPolicy)), book_(book) {}

  void write(Record record) override {
    lines.push_back(to_json(record));
    if (auto sent = sent_mail(record)) mails_.push_back(*std::move(sent));
  }
  bool is_dead(const Address& recipient) const override { return dead_.contains(recipient.full); }
  std::unique_ptr<Session> session() {
    return std::make_unique<Session>(policy, Session::Services{gate_, *this, references_, nullptr, nullptr, this},
                                     Session::Door{});
  }

  // Of some recipient, logged some time ago and counted now.
  void become(std::mt19937& random) {
    if (mails_.empty()) return;
    const SentMail& mail = mails_[random() % mails_.size()];
    if (mail.recipients.empty()) return;
    const auto& r = mail.recipients[random() % mail.recipients.size()];
    MailOutcome o;
    o.kind = static_cast<OutcomeKind>(random() % 6);
    if (o.kind == OutcomeKind::complaint && mail.recipients.size() > 1 && random() % 2 == 0) return complain(mail);
    std::optional<OutcomeKind>& known = ends_[mail.sending.ref + r.address];
    const bool ended = known && is_final(*known);
    if (o.kind == OutcomeKind::complaint ? known != OutcomeKind::delivered : ended || known == o.kind) return;
    known = o.kind;
    o.time = now - milliseconds(random() % 3000);
    o.sending = mail.sending;
    o.recipient = r.address;
    if (random() % 9 == 0) o.became = "x" + r.address;
    o.keys = r.keys;
    o.explained = book_.explain(o.status);
    count(o, r.local);
  }

  std::shared_ptr<const Policy> policy;
  std::vector<std::string> lines;
  int hidden = 0;  // complaints
  Instant now{std::chrono::hours(490000)};
  std::string queue_id() { return fmt::format("Q{}", ++ids_); }

 private:
  // Of one of several, whom the provider hides.
  void complain(const SentMail& mail) {
    MailOutcome o;
    o.kind = OutcomeKind::complaint;
    o.time = now;
    o.sending = mail.sending;
    o.explained = book_.explain(o.status);
    CommonKeys common;
    bool reached = false;
    for (const auto& r : mail.recipients) {
      common.add(r.keys);
      const auto& end = ends_[mail.sending.ref + r.address];
      reached |= !end || !is_final(*end) || *end == OutcomeKind::delivered;
    }
    if (!reached || !hidden_.insert(mail.sending.ref).second) return;
    o.keys = common.keys();
    count(o, false);
    ++hidden;
  }

  void count(MailOutcome& o, bool local) {
    const bool unmeant = o.sending.sender.empty() || !o.became.empty();
    for (const OutcomeKey& key : o.keys) {
      const auto unit = unit_of(o.kind);
      if (!unit) continue;
      const auto charges = charges_of_outcome(*policy, key, {*unit, o.sending.ref + o.recipient, o.time, unmeant}, now);
      if (!charges.empty()) store_.take_now(charges, false, now);
    }
    if (o.kind == OutcomeKind::hard_bounce && !local) dead_.insert(o.recipient);
    if (o.kind == OutcomeKind::delivered) dead_.erase(o.recipient);
    o.counted = now;
    o.counted_ref = references_.next();
    lines.push_back(outcome_line(o));
  }

  StatusBook& book_;
  MemoryStore store_;
  Gate gate_{store_};
  References references_{1};
  std::vector<SentMail> mails_;
  std::map<std::string, std::optional<OutcomeKind>> ends_;
  std::set<std::string> dead_;
  std::set<std::string> hidden_;  // mail of which somebody complained
  int ids_ = 0;
};

// Each does one thing after the other.
class Crowd {
 public:
  Crowd(House& house, unsigned seed) : house_(house), random_(seed) {}

  void act(int steps) {
    for (int i = 0; i < steps; ++i) {
      house_.now += milliseconds(1 + random_() % 1500);
      if (random_() % 3 == 0) {
        house_.become(random_);
      } else {
        auto& one = people_[random_() % 10];
        if (one == nullptr) one = arrive();
        if (!step(*one)) one.reset();
      }
    }
    for (auto& [number, one] : people_) {
      if (one != nullptr) one->session->abort(house_.now);
    }
  }

 private:
  struct Person {
    std::unique_ptr<Session> session;
    std::string sender;
    int state = 0;  // 1: MAIL was taken, 2: a recipient, too
  };
  // Whether it may go on.
  Session::Done into(bool& goes_on) {
    return [&goes_on](const Answer& answer) { goes_on = !answer.refusal; };
  }

  std::unique_ptr<Person> arrive() {
    auto one = std::make_unique<Person>();
    one->session = house_.session();
    bool ignored = false;
    const std::string ip = fmt::format("192.0.{}.{}", random_() % 2, 1 + random_() % 2);
    one->session->connect({.ip = IpAddress::parse(ip), .port = 40000, .listener = "smtp"}, house_.now, into(ignored));
    one->session->helo("client.example.net", house_.now, into(ignored));
    one->sender =
        random_() % 8 == 0 ? "<>" : fmt::format("<{}{}@here.example>", random_() % 2 == 0 ? 's' : 't', random_() % 3);
    return one;
  }

  bool step(Person& p) {
    bool good = false;
    Session& session = *p.session;
    if (p.state == 0) {
      if (random_() % 6 == 0) return false;
      session.mail({.sender = p.sender, .queue_id = house_.queue_id()}, house_.now, into(good));
      p.state = good ? 1 : 0;
      return good;
    }
    const auto what = random_() % 10;
    if (what < 7) {
      const std::string to =
          fmt::format("<r{}@{}>", random_() % 60, random_() % 6 == 0 ? "here.example" : "far.example");
      session.rcpt({.recipient = to, .route = "smtp"}, house_.now, into(good));
      if (good) p.state = 2;
    } else if (what == 7 || p.state == 1) {
      session.abort(house_.now);
      p.state = 0;
    } else {
      session.data(house_.now, into(good));
      session.end_of_headers(house_.now, into(good));
      session.end_of_message(house_.now, into(good));
      p.state = 0;
    }
    return true;
  }

  House& house_;
  std::mt19937 random_;
  std::map<unsigned long, std::unique_ptr<Person>> people_;
};

std::unique_ptr<ReplayReport> replay(const House& house) {
  const Ignorance ignorance = ignorance_of({"history", {}}, true);
  EXPECT_TRUE(unjudged_rules(*house.policy, ignorance.beyond, ignorance.units, ignorance.source).empty());
  auto report = std::make_unique<ReplayReport>(Instant::min());
  Replayer replayer(house.policy, ignorance.beyond, {}, *report);
  for (const std::string& line : house.lines) {
    if (auto outcome = past_outcome_of_record(line)) {
      replayer.play(*std::move(outcome));
    } else if (auto past = past_of_record(line)) {
      replayer.play(*std::move(past));
    } else {
      ADD_FAILURE() << line;
    }
  }
  replayer.finish();
  return report;
}

TEST(ReplayedCrowd, SaysTheSameAgain) {
  const auto book = open_status_book("");
  ASSERT_TRUE(book) << book.error();
  std::int64_t recipients = 0;
  int hidden = 0;
  std::map<std::string, int> answers;  // by rule
  for (unsigned seed = 1; seed <= 6; ++seed) {
    House house(**book);
    Crowd(house, seed).act(6000);
    const auto report = replay(house);
    EXPECT_EQ(report->same, report->recipients)
        << "seed " << seed << ": " << report->refused.recipients << " refused, " << report->accepted.recipients
        << " accepted, " << report->other.recipients << " otherwise";
    recipients += report->recipients;
    hidden += house.hidden;
    for (const std::string& line : house.lines) {
      for (const char* rule : {"dead", "quota", "thief", "slow", "watched"}) {
        answers[rule] += line.find(fmt::format("\"rule\":\"{}\"", rule)) != std::string::npos ? 1 : 0;
      }
    }
  }
  EXPECT_GT(recipients, 8000);
  EXPECT_GT(hidden, 100);
  for (const auto& [rule, count] : answers) EXPECT_GT(count, 30) << rule;
}

}  // namespace
}  // namespace replygate
