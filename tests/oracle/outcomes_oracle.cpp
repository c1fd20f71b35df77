// Random mail and what becomes of it, played to the real session, ledger and store, and to a model that was written
// from conf/POLICY.md alone: one final outcome for each recipient, reports behind it, windows, shares with a floor,
// dead addresses, log lines that come again after a restart, outcomes that are counted again after a kill. Every answer
// must be the model's. Then the history is replayed: by its own policy with the same answers, by another one with those
// of another model.
//
//   outcomes_oracle [sequences [seed]]   1500

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <random>

#include "milter/bounce/status_files.h"
#include "tests/oracle/outcomes_real.h"
#include "tests/oracle/outcomes_replayed.h"
#include "tests/support/world.h"

namespace replygate::oracle {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kBegin{hours(490000)};

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

// What a model makes of acts: of mail that is submitted, and of what becomes of it. Recipients that it refuses have no
// outcomes.
class Telling {
 public:
  explicit Telling(const Numbers& numbers) : model_(numbers) {}

  std::vector<int> submit(const Mail& mail, Instant now) {
    std::vector<int> codes;
    Mail& kept = mails_[mail.id] = {mail.id, mail.sender, mail.ip, {}};
    for (const Recipient& r : mail.recipients) {
      codes.push_back(model_.answer(mail, r.address, now, static_cast<std::int64_t>(kept.recipients.size())));
      if (codes.back() == 0) kept.recipients.push_back(r);
    }
    model_.accepted(kept, now);
    return codes;
  }
  using Do = std::function<void(Model&, const Mail&, Recipient&)>;
  void become(const std::string& id, const std::string& address, const std::string& forwarded, const Do& act) {
    Mail& mail = mails_.at(id);
    const auto r = std::ranges::find(mail.recipients, address, &Recipient::address);
    if (r == mail.recipients.end()) return;
    act(model_, mail,
        forwarded.empty() ? *r : forwarded_.try_emplace(id + forwarded, Recipient{forwarded}).first->second);
  }
  bool complains(const std::string& id, Instant now) { return model_.complains(mails_.at(id), now); }
  const Mail& mail(const std::string& id) const { return mails_.at(id); }

 private:
  Model model_;
  std::map<std::string, Mail> mails_;
  std::map<std::string, Recipient> forwarded_;
};

class Sequence {
 public:
  Sequence(std::uint64_t seed, StatusBook& book)
      : random_(seed), numbers_(make_numbers()), others_(make_numbers()), model_(numbers_), real_(numbers_, book) {}

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
    if (replayed(real_.history(), real_.policy()) != given_) return "its own policy does not reproduce it\n" + acts_;
    return replay_others();
  }
  std::int64_t refused() const { return std::ssize(given_) - std::ranges::count(given_, 0); }
  std::int64_t answers() const { return std::ssize(given_); }
  std::int64_t changed() const { return changed_; }

 private:
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  Numbers make_numbers() {
    return {.percent = 1 + below(60),
            .floor = 1 + below(15),
            .blocked = 1 + below(6),
            .deferrals = 1 + below(10),
            .deliveries = 4 + below(30),
            .complaints = 1 + below(6),
            .share_hours = 1 + below(3),
            .limit_hours = 1 + below(3),
            .dead_after = 1 + below(4),
            .dead_hours = 1 + below(3),
            .all = below(2) == 0};
  }
  void pass() { now_ += milliseconds(1); }

  // Under another policy the model has only what the history has: no outcomes of what was refused then.
  std::string replay_others() {
    Telling other(others_);
    std::vector<int> expected;
    for (const auto& act : again_) act(other, expected);
    const auto got = replayed(real_.history(), test::policy_from(others_.policy()));
    for (std::size_t i = 0; i < given_.size() && i < expected.size(); ++i) changed_ += expected[i] != given_[i] ? 1 : 0;
    if (got == expected) return "";
    return fmt::format("another policy: expected {}\n, got {}\n{}{}{}", fmt::join(expected, " "), fmt::join(got, " "),
                       acts_, numbers_.policy(), others_.policy());
  }

  std::string submit() {
    pass();
    Mail mail{.id = fmt::format("{:05}ABCDE", ids_.size()),
              .sender = below(5) == 0 ? "" : fmt::format("s{}@local.test", below(2)),
              .ip = fmt::format("192.0.2.{}", 1 + below(2)),
              .recipients = {}};
    const int count = 1 + below(6);
    for (int i = 0; i < count; ++i)
      mail.recipients.push_back({.address = fmt::format("r{}@there.test", below(9) * 9 + i)});
    const std::vector<int> expected = model_.submit(mail, now_);
    const std::vector<int> got = real_.send(mail, now_);
    acts_ += fmt::format("{} {} from {} to {}: {}\n", now_.time_since_epoch().count(), mail.id, mail.sender, count,
                         fmt::join(got, " "));
    given_.insert(given_.end(), got.begin(), got.end());
    if (std::ranges::count(got, 0) > 0) ids_.push_back(mail.id);
    again_.emplace_back([mail, now = now_](Telling& other, std::vector<int>& codes) {
      const auto said = other.submit(mail, now);
      codes.insert(codes.end(), said.begin(), said.end());
    });
    return got == expected ? "" : fmt::format("expected {}, got {}", fmt::join(expected, " "), fmt::join(got, " "));
  }

  // Of any of our messages, or of none of ours.
  void become() {
    pass();
    const auto fate = static_cast<Fate>(below(5));
    if (ids_.empty() || below(12) == 0) return real_.line(line_of("FFFFF99999", "r0@there.test", fate, ""), now_);
    const std::string& id = ids_[static_cast<std::size_t>(below(static_cast<int>(ids_.size())))];
    const auto& recipients = model_.mail(id).recipients;
    const std::string to = recipients[static_cast<std::size_t>(below(static_cast<int>(recipients.size())))].address;
    if (below(24) == 0) return complain(id);
    if (below(6) == 0) return report(id, to, below(2) == 0);
    const std::string forwarded = below(8) == 0 ? "x" + to : "";
    const std::string line = line_of(id, forwarded.empty() ? to : forwarded, fate, forwarded.empty() ? "" : to);
    acts_ += line + '\n';
    real_.line(line, now_);
    happens(id, to, forwarded,
            [fate, now = now_, unmeant = !forwarded.empty()](Model& m, const Mail& mail, Recipient& r) {
              m.becomes(mail, r, fate, now, unmeant);
            });
  }

  // Whoever hides is named in the history where nobody else can be meant.
  void complain(const std::string& id) {
    acts_ += fmt::format("a complaint of somebody of {}\n", id);
    real_.report(id, "", true, now_);
    if (!model_.complains(id, now_)) return;
    const auto& recipients = model_.mail(id).recipients;
    const std::string only = recipients.size() == 1 ? recipients.front().address : "";
    again_.emplace_back([id, only, now = now_](Telling& other, std::vector<int>&) {
      if (only.empty()) {
        other.complains(id, now);
      } else {
        other.become(id, only, "", [now](Model& m, const Mail& mail, Recipient& r) { m.complains(mail, r, now); });
      }
    });
  }

  void report(const std::string& id, const std::string& to, bool complaint) {
    acts_ += fmt::format("{} of {} by {}\n", complaint ? "a complaint" : "a bounce", id, to);
    real_.report(id, to, complaint, now_);
    happens(id, to, "", [complaint, now = now_](Model& m, const Mail& mail, Recipient& r) {
      complaint ? m.complains(mail, r, now) : m.bounces_later(mail, r, now);
    });
  }

  void happens(const std::string& id, const std::string& to, const std::string& forwarded, const Telling::Do& act) {
    model_.become(id, to, forwarded, act);
    again_.emplace_back([=](Telling& other, std::vector<int>&) { other.become(id, to, forwarded, act); });
  }

  std::mt19937_64 random_;
  Numbers numbers_;
  Numbers others_;
  Instant now_ = kBegin;
  Telling model_;
  Real real_;
  std::vector<std::string> ids_;  // of mail that was let through
  std::vector<int> given_;        // answers
  std::vector<std::function<void(Telling&, std::vector<int>&)>> again_;
  std::string acts_;
  std::int64_t changed_ = 0;
};

int run(std::uint64_t sequences, std::uint64_t seed) {
  const auto book = open_status_book("");
  if (!book) {
    fmt::print("{}\n", book.error());
    return 1;
  }
  std::int64_t answers = 0;
  std::int64_t refused = 0;
  std::int64_t changed = 0;
  for (std::uint64_t i = 0; i < sequences; ++i) {
    Sequence sequence(seed + i, **book);
    const std::string wrong = sequence.play();
    answers += sequence.answers();
    refused += sequence.refused();
    changed += sequence.changed();
    if (wrong.empty()) continue;
    fmt::print("sequence {}: {}\n", seed + i, wrong);
    return 1;
  }
  fmt::print(
      "{} sequences, {} answers as the model's, {} of them refusals; replayed as they were, and {} otherwise by "
      "other policies, as other models say\n",
      sequences, answers, refused, changed);
  return refused > answers / 100 && changed > answers / 100 ? 0 : 1;
}

}  // namespace
}  // namespace replygate::oracle

int main(int argc, char** argv) {
  return replygate::oracle::run(argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1500,
                                argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1);
}
