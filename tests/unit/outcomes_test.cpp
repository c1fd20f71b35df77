#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "milter/bounce/input.h"
#include "milter/bounce/status_files.h"
#include "milter/outcome/outcome_database.h"
#include "milter/outcome/outcome_reader.h"
#include "policy/decide/inquiry.h"
#include "policy/decide/record_fields.h"
#include "tests/support/compress.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using Texts = std::vector<std::string>;

constexpr std::string_view kPolicy = R"(
[site]
local_domains = ["example.org"]
[outcomes]
log = "/var/log/mail.log"
[[rule]]
name = "watch"
per = "sender"
limit = ["100 hard_bounces / 1h", "100 deliveries / 1h", "100 complaints / 1h"]
reply = 450
)";

class Telling final : public OutcomeListener {
 public:
  void hear(const MailOutcome& o) override {
    const std::lock_guard lock(mutex_);
    counted_.emplace_back(o.counted, References::number_of(o.counted_ref).value_or(0));
    texts_.push_back(fmt::format("{} {}{} {} {}", o.sending.queue_id, o.recipient,
                                 o.became.empty() ? "" : " as " + o.became, to_string(o.kind),
                                 info_of(o.explained.reason).slug));
  }
  Texts texts() const {
    const std::lock_guard lock(mutex_);
    return texts_;
  }
  std::vector<std::pair<Instant, std::uint64_t>> counted() const {
    const std::lock_guard lock(mutex_);
    return counted_;
  }

 private:
  mutable std::mutex mutex_;
  Texts texts_;
  std::vector<std::pair<Instant, std::uint64_t>> counted_;
};

class Outcomes : public ::testing::Test {
 protected:
  Outcomes() { folder_.write("mail.log", "2025-11-24T00:00:00Z mx postfix/qmgr[1]: OLD000000: removed\n"); }
  ~Outcomes() override { stop(); }

  void start(const OutcomeSettings& changed = {}) {
    OutcomeSettings settings = changed;
    settings.log = folder_.file("mail.log");
    recorder_ = std::make_unique<Recorder>();
    auto reader = OutcomeReader::open(settings, folder_.file("outcomes.db"),
                                      {clock_, *recorder_, troubles_, store_, health_, current_, references_});
    ASSERT_TRUE(reader) << reader.error();
    reader_ = *std::move(reader);
    recorder_->add(*reader_);
    reader_->add(telling_);
    recorder_->start();
    reader_->start();
  }
  void stop() {
    if (recorder_ != nullptr) recorder_->stop();
    reader_.reset();
    recorder_.reset();
  }

  void accept(const std::string& id, const Texts& recipients, const std::string& sender = "s@example.org") {
    Record record{.policy = policy_, .time = clock_.now(), .begun = clock_.now(), .door = "milter"};
    record.ref = "R" + id;
    record.connection.ip_text = "198.51.100.1";
    record.ending = Ending::accepted;
    record.transaction.queue_id = id;
    record.transaction.sender = mailbox_of(sender);
    for (const std::string& r : recipients) {
      JudgedRecipient judged{.recipient = {.raw = r, .address = mailbox_of(r)}, .verdict = {}, .ref = "r", .time = {}};
      const Rule& rule = policy_->rules().front();
      judged.verdict.limits.push_back({.rule = &rule, .limit = rule.limits.front(), .key = sender});
      record.recipients.push_back(std::move(judged));
    }
    recorder_->write(std::move(record));
  }
  void log(std::string_view daemon, const std::string& text) {
    std::ofstream(folder_.file("mail.log"), std::ios::app)
        << detail::format_time(clock_.now()) << ' ' << host_ << " postfix/" << daemon << "[7]: " << text << "\n";
  }
  // The log shows the client whom the record has.
  void come(const std::string& id, const Texts& recipients) {
    log("smtpd", id + ": client=c.test[198.51.100.1]");
    accept(id, recipients);
  }
  void attempt(const std::string& id, const std::string& to, std::string_view dsn, std::string_view status,
               std::string_view text, const std::string& original = "") {
    log("smtp", fmt::format("{}: to=<{}>, {}relay=mx.there.test[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn={}, "
                            "status={} ({})",
                            id, to, original.empty() ? "" : "orig_to=<" + original + ">, ", dsn, status, text));
  }
  void sent(const std::string& id, const std::string& to) { attempt(id, to, "2.0.0", "sent", "250 2.0.0 Ok"); }
  void bounced(const std::string& id, const std::string& to) {
    attempt(id, to, "5.1.1", "bounced",
            "host mx.there.test[192.0.2.9] said: 550 5.1.1 no such user (in reply to RCPT TO command)");
  }
  void deferred(const std::string& id, const std::string& to) {
    attempt(id, to, "4.2.2", "deferred",
            "host mx.there.test[192.0.2.9] said: 452 4.2.2 mailbox full (in reply to RCPT TO command)");
  }
  void expect(const Texts& expected) {
    EXPECT_TRUE(test::eventually([&] { return telling_.texts().size() >= expected.size(); }));
    EXPECT_EQ(telling_.texts(), expected);
  }

  // Of the units of the rule.
  std::vector<std::int64_t> used(const std::string& sender = "s@example.org") {
    const Rule& rule = policy_->rules().front();
    std::vector<Charge> looks;
    for (const Ask& ask : asks_of_key(*policy_, rule, *key_from_text(rule, sender, policy_->site()), clock_.now())) {
      looks.push_back(charge_of(ask, 0, false, false));
      looks.back().cost = 0;
    }
    std::vector<std::int64_t> counts;
    for (const auto& reading : store_.take_now(looks, false, clock_.now()).readings) counts.push_back(reading->used);
    return counts;
  }
  void expect_used(const std::vector<std::int64_t>& expected) {
    EXPECT_TRUE(test::eventually([&] { return used() == expected; }));
    EXPECT_EQ(used(), expected);
  }
  bool is_dead(const std::string& address) const { return reader_->dead_addresses().is_dead(mailbox_of(address)); }

  std::string host_ = "mx";  // that writes the log
  test::Folder folder_;
  test::HandClock clock_;
  Troubles troubles_;
  const std::shared_ptr<const Policy> policy_ = test::policy_from(kPolicy);
  CurrentPolicy current_{policy_};
  MemoryStore store_;
  References references_{1};
  StoreHealth health_;
  Telling telling_;
  std::unique_ptr<Recorder> recorder_;
  std::unique_ptr<OutcomeReader> reader_;
};

TEST_F(Outcomes, AreThoseOfOurMail) {
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test", "c@there.test"});
  sent("AAAA11111", "A@There.test");
  bounced("AAAA11111", "b@there.test");
  attempt("AAAA11111", "c@there.test", "5.7.1", "bounced",
          "host mx.there.test[192.0.2.9] said: 554 5.7.1 Service unavailable; Client host [198.51.100.1] blocked using "
          "zen.spamhaus.org (in reply to RCPT TO command)");
  sent("BBBB22222", "a@there.test");
  expect({"AAAA11111 a@there.test delivered delivered", "AAAA11111 b@there.test hard_bounce user_unknown",
          "AAAA11111 c@there.test blocked ip_blocked"});
  EXPECT_EQ(reader_->figures().unknown, 1);
}

TEST_F(Outcomes, OfAnotherHostAreNotOurs) {
  start();
  come("AAAA11111", {"a@there.test", "b@there.test"});
  sent("AAAA11111", "a@there.test");
  host_ = "other";
  sent("AAAA11111", "b@there.test");
  log("qmgr", "AAAA11111: removed");
  host_ = "mx";
  bounced("AAAA11111", "b@there.test");
  expect({"AAAA11111 a@there.test delivered delivered", "AAAA11111 b@there.test hard_bounce user_unknown"});
  EXPECT_EQ(reader_->figures().unknown, 1);
  host_ = "mx.renamed.test";
  come("CCCC33333", {"c@there.test"});
  sent("CCCC33333", "c@there.test");
  expect({"AAAA11111 a@there.test delivered delivered", "AAAA11111 b@there.test hard_bounce user_unknown",
          "CCCC33333 c@there.test delivered delivered"});
}

TEST_F(Outcomes, AnotherHostEndsNoMessageOfOurs) {
  start();
  come("AAAA11111", {"a@there.test"});
  sent("AAAA11111", "a@there.test");
  expect({"AAAA11111 a@there.test delivered delivered"});
  come("BBBB22222", {"b@there.test"});
  host_ = "other";
  log("qmgr", "BBBB22222: removed");
  host_ = "mx";
  sent("BBBB22222", "b@there.test");
  expect({"AAAA11111 a@there.test delivered delivered", "BBBB22222 b@there.test delivered delivered"});
}

TEST_F(Outcomes, AnotherHostsFirstLinesAreNotOurs) {
  start();
  accept("AAAA11111", {"a@there.test"});
  log("smtpd", "AAAA11111: client=c.test[198.51.100.1]");
  log("qmgr", "AAAA11111: from=<s@example.org>, size=1, nrcpt=1 (queue active)");
  host_ = "other";
  log("smtpd", "AAAA11111: client=d.test[198.51.100.99]");
  bounced("AAAA11111", "a@there.test");
  host_ = "mx";
  sent("AAAA11111", "a@there.test");
  expect({"AAAA11111 a@there.test delivered delivered"});
}

TEST_F(Outcomes, AreOfAllHostsThatAskUs) {
  start();
  for (const char* host : {"mx1", "mx2"}) {
    host_ = host;
    const std::string id = std::string("AAAA1111") + host[2];
    come(id, {"a@there.test"});
    deferred(id, "a@there.test");
  }
  Texts expected = {"AAAA11111 a@there.test deferred mailbox_full", "AAAA11112 a@there.test deferred mailbox_full"};
  expect(expected);
  log("qmgr", "AAAA11112: from=<s@example.org>, status=expired, returned to sender");
  host_ = "mx1";
  log("qmgr", "AAAA11111: from=<s@example.org>, status=expired, returned to sender");
  expected.insert(expected.end(), {"AAAA11112 a@there.test failed expired", "AAAA11111 a@there.test failed expired"});
  expect(expected);
}

TEST_F(Outcomes, ACopyThatIsGivenUpEndsNoOther) {
  start();
  accept("AAAA11111", {"f@example.org", "y@there.test"});
  log("smtpd", "AAAA11111: client=c.test[198.51.100.1]");
  log("qmgr", "AAAA11111: from=<s@example.org>, size=1, nrcpt=2 (queue active)");
  log("local",
      "AAAA11111: to=<f@example.org>, relay=local, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent "
      "(forwarded as BBBB22222)");
  deferred("AAAA11111", "y@there.test");
  deferred("BBBB22222", "g@there.test");
  log("postsuper", "BBBB22222: removed");
  sent("AAAA11111", "y@there.test");
  expect({"AAAA11111 y@there.test deferred mailbox_full", "AAAA11111 g@there.test deferred mailbox_full",
          "AAAA11111 g@there.test failed expired", "AAAA11111 y@there.test delivered delivered"});
}

// Exim tries an address once, though it was addressed twice, and a list whose file could not be read again.
TEST_F(Outcomes, EximsEndFailsOnlyWhatWasDeferred) {
  start();
  accept("1abcDE-000001-AB", {"a@here.test", "b@here.test", "list@here.test"});
  const std::string lead = "2025-11-30 00:00:01 1abcDE-000001-AB ";
  std::ofstream(folder_.file("mail.log"), std::ios::app)
      << lead << "=> box <a@here.test> R=user T=local\n"
      << lead << "== list@here.test R=lists defer (-1): error in redirect data\n"
      << lead << "=> x@there.test <list@here.test> R=dns T=smtp H=mx.there.test [192.0.2.9] C=\"250 Ok\"\n"
      << lead << "Completed\n";
  expect({"1abcDE-000001-AB a@here.test delivered delivered", "1abcDE-000001-AB list@here.test deferred system",
          "1abcDE-000001-AB list@here.test as x@there.test delivered delivered"});
}

TEST_F(Outcomes, HaveOneEnd) {
  start();
  accept("AAAA11111", {"a@there.test"});
  deferred("AAAA11111", "a@there.test");
  deferred("AAAA11111", "a@there.test");
  sent("AAAA11111", "a@there.test");
  deferred("AAAA11111", "a@there.test");
  bounced("AAAA11111", "a@there.test");
  log("qmgr", "AAAA11111: removed");
  sent("AAAA11111", "z@there.test");  // of another message by now
  accept("AAAA11111", {"b@there.test"});
  log("qmgr", "CCCC33333: removed");
  expect({"AAAA11111 a@there.test deferred mailbox_full", "AAAA11111 a@there.test delivered delivered"});
}

TEST_F(Outcomes, ExpireWithTheMessage) {
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test"});
  sent("AAAA11111", "b@there.test");
  deferred("AAAA11111", "a@there.test");
  log("qmgr", "AAAA11111: from=<s@example.org>, status=expired, returned to sender");
  expect({"AAAA11111 b@there.test delivered delivered", "AAAA11111 a@there.test deferred mailbox_full",
          "AAAA11111 a@there.test failed expired"});
}

TEST_F(Outcomes, ExpireWithTheMessageOfSendmailAndExim) {
  start();
  const auto line = [this](const std::string& text) {
    std::ofstream(folder_.file("mail.log"), std::ios::app) << text << "\n";
  };
  const std::string time = detail::format_time(clock_.now());
  accept("6APCiRGH021530", {"a@there.test"});
  accept("1abcDE-000001-AB", {"b@there.test"});
  line(time +
       " mx sm-mta[7]: 6APCiRGH021530: to=<a@there.test>, delay=00:00:02, mailer=esmtp, relay=mx.there.test. "
       "[192.0.2.9], dsn=4.2.2, stat=Deferred: 452 4.2.2 mailbox full");
  line(time + " mx sm-mta[7]: 6APCiRGH021530: 6APCiRGH021599: DSN: Cannot send message for 5 days");
  const std::string exim = "2025-11-30 00:00:01 1abcDE-000001-AB ";
  line(exim +
       "== b@there.test R=dns T=smtp defer (-44) H=mx.there.test [192.0.2.9]: SMTP error from remote mail server "
       "after RCPT TO:<b@there.test>: 450 4.7.1 Client host [192.0.2.1] blocked using zen.spamhaus.org");
  line(exim + "** b@there.test: retry timeout exceeded");
  line(exim + "Completed");
  expect({"6APCiRGH021530 a@there.test deferred mailbox_full", "6APCiRGH021530 a@there.test failed expired",
          "1abcDE-000001-AB b@there.test deferred ip_blocked", "1abcDE-000001-AB b@there.test blocked ip_blocked"});
}

TEST_F(Outcomes, WhatAnAliasDeliveredDoesNotExpire) {
  start();
  accept("AAAA11111", {"team@example.org", "slow@there.test"});
  attempt("AAAA11111", "x@there.test", "2.0.0", "sent", "250 Ok", "team@example.org");
  deferred("AAAA11111", "slow@there.test");
  log("qmgr", "AAAA11111: from=<s@example.org>, status=expired, returned to sender");
  expect({"AAAA11111 team@example.org as x@there.test delivered delivered",
          "AAAA11111 slow@there.test deferred mailbox_full", "AAAA11111 slow@there.test failed expired"});
}

TEST_F(Outcomes, FollowFiltersAndAliases) {
  start();
  accept("AAAA11111", {"team@example.org", "b@there.test"});
  log("smtpd", "AAAA11111: client=pc[198.51.100.7], sasl_method=PLAIN, sasl_username=s");
  log("qmgr", "AAAA11111: from=<s@example.org>, size=1, nrcpt=2 (queue active)");
  log("smtpd", "BBBB22222: client=localhost[127.0.0.1]");
  log("qmgr", "BBBB22222: from=<s@example.org>, size=1, nrcpt=3 (queue active)");
  log("smtp",
      "AAAA11111: to=<b@there.test>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, "
      "status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as BBBB22222)");
  log("qmgr", "AAAA11111: removed");
  stop();
  start();  // the filter's id is known although the line is another daemon's
  bounced("BBBB22222", "b@there.test");
  attempt("BBBB22222", "x@there.test", "2.0.0", "sent", "250 Ok", "team@example.org");
  attempt("BBBB22222", "y@there.test", "2.0.0", "sent", "250 Ok", "team@example.org");
  expect({"AAAA11111 b@there.test hard_bounce user_unknown",
          "AAAA11111 team@example.org as x@there.test delivered delivered",
          "AAAA11111 team@example.org as y@there.test delivered delivered"});
}

// Where what a filter has handed back is delivered before the filter answers.
TEST_F(Outcomes, FollowFiltersThatAnswerLate) {
  start();
  for (const bool restart : {false, true}) {
    const std::string first = restart ? "CCCC11111" : "AAAA11111";
    const std::string second = restart ? "CCCC22222" : "AAAA22222";
    accept(first, {"b@there.test"});
    log("smtpd", first + ": client=pc[198.51.100.7], sasl_method=PLAIN, sasl_username=s");
    log("qmgr", first + ": from=<s@example.org>, size=1, nrcpt=1 (queue active)");
    log("smtpd", second + ": client=localhost[127.0.0.1]");
    log("qmgr", second + ": from=<s@example.org>, size=1, nrcpt=1 (queue active)");
    bounced(second, "b@there.test");
    log("qmgr", second + ": removed");
    if (restart) {
      stop();
      start();
    }
    log("smtp", first +
                    ": to=<b@there.test>, relay=127.0.0.1[127.0.0.1]:10024, delay=1, delays=0/0/0/1, dsn=2.0.0, "
                    "status=sent (250 2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as " +
                    second + ")");
    log("qmgr", first + ": removed");
    // The id is used again, by what is not ours.
    log("smtpd", second + ": client=pc[198.51.100.9]");
    bounced(second, "c@there.test");
    if (!restart) expect({"AAAA11111 b@there.test hard_bounce user_unknown"});
  }
  sent("CCCC11111", "d@there.test");
  expect({"AAAA11111 b@there.test hard_bounce user_unknown", "CCCC11111 b@there.test hard_bounce user_unknown"});
}

TEST_F(Outcomes, WhatIsReadOnceMoreIsNotUnknown) {
  start();
  for (int i = 0; i < 5; ++i) {
    const std::string id = fmt::format("AAAA{:05}", i);
    accept(id, {"a@there.test"});
    log("qmgr", id + ": from=<s@example.org>, size=1, nrcpt=1 (queue active)");
    sent(id, "a@there.test");
    log("qmgr", id + ": removed");
    EXPECT_TRUE(test::eventually([&] { return reader_->figures().outcomes == 1; }));
    EXPECT_EQ(reader_->figures().unknown, 0);
    EXPECT_EQ(reader_->figures().attempts, 1);
    stop();
    start();
  }
}

TEST_F(Outcomes, GoOnOverRestartsAndRotations) {
  Texts expected;
  for (int i = 0; i < 40; ++i) {
    start();
    const std::string id = fmt::format("AAAA{:05}", i);
    accept(id, {"a@there.test", "b@there.test"});
    sent(id, "a@there.test");
    expected.push_back(id + " a@there.test delivered delivered");
    expect(expected);
    stop();
    if (i % 3 == 1) std::filesystem::rename(folder_.file("mail.log"), folder_.file("mail.log.1"));
    if (i % 3 == 2) {
      std::filesystem::copy_file(folder_.file("mail.log"), folder_.file("mail.log.1"),
                                 std::filesystem::copy_options::overwrite_existing);
      std::filesystem::resize_file(folder_.file("mail.log"), 0);
    }
    sent(id, "a@there.test");
    bounced(id, "b@there.test");
    expected.push_back(id + " b@there.test hard_bounce user_unknown");
  }
  start();
  expect(expected);
}

TEST_F(Outcomes, GoOnWhereTheLogWasCompressedMeanwhile) {
  const std::string path = folder_.file("mail.log");
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test", "c@there.test", "d@there.test"});
  bounced("AAAA11111", "a@there.test");
  expect({"AAAA11111 a@there.test hard_bounce user_unknown"});
  stop();
  bounced("AAAA11111", "b@there.test");
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  std::filesystem::remove(path);
  bounced("AAAA11111", "c@there.test");
  std::filesystem::rename(path, path + ".1");
  test::compress(path + ".2.gz", text.str(), archive_write_add_filter_gzip);
  bounced("AAAA11111", "d@there.test");
  for (int starts = 0; starts < 2; ++starts) {
    start();
    expect({"AAAA11111 a@there.test hard_bounce user_unknown", "AAAA11111 b@there.test hard_bounce user_unknown",
            "AAAA11111 c@there.test hard_bounce user_unknown", "AAAA11111 d@there.test hard_bounce user_unknown"});
    expect_used({4, 0, 0});
    stop();
  }
  EXPECT_EQ(telling_.texts().size(), 4U);
}

// A daemon that began with an empty log, which was copied, emptied and compressed while it was down.
TEST_F(Outcomes, GoOnWhereAnEmptyLogWasTheBegin) {
  std::filesystem::resize_file(folder_.file("mail.log"), 0);
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test", "c@there.test"});
  sent("AAAA11111", "a@there.test");
  expect({"AAAA11111 a@there.test delivered delivered"});
  stop();
  sent("AAAA11111", "b@there.test");
  const std::string log = folder_.file("mail.log");
  std::ostringstream text;
  text << std::ifstream(log).rdbuf();
  test::compress(log + ".1.gz", text.str(), archive_write_add_filter_gzip);
  std::filesystem::resize_file(log, 0);
  sent("AAAA11111", "c@there.test");
  start();
  expect({"AAAA11111 a@there.test delivered delivered", "AAAA11111 b@there.test delivered delivered",
          "AAAA11111 c@there.test delivered delivered"});
}

TEST_F(Outcomes, GoOnWithALogThatComesLater) {
  std::filesystem::remove(folder_.file("mail.log"));
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test"});
  EXPECT_TRUE(test::eventually([&] { return !troubles_.all().empty(); }));
  sent("AAAA11111", "a@there.test");
  expect({"AAAA11111 a@there.test delivered delivered"});
  EXPECT_TRUE(test::eventually([&] { return troubles_.all().empty(); }));
  stop();
  bounced("AAAA11111", "b@there.test");
  start();
  expect({"AAAA11111 a@there.test delivered delivered", "AAAA11111 b@there.test hard_bounce user_unknown"});
}

TEST_F(Outcomes, SayWhatTheLogIsNot) {
  std::filesystem::remove(folder_.file("mail.log"));
  ASSERT_EQ(::mkfifo(folder_.file("mail.log").c_str(), 0600), 0);
  start();
  EXPECT_TRUE(test::eventually([&] { return !troubles_.all().empty(); }));
  EXPECT_EQ(troubles_.all().at(0).of, "outcomes");
  EXPECT_EQ(troubles_.all().at(0).what, "outcomes: " + folder_.file("mail.log") + ": it is no regular file");
}

TEST_F(Outcomes, TellTroubleOfTheirFileAsItsOwn) {
  start();
  std::string aside;
  const auto other = OutcomeDatabase::open(folder_.file("outcomes.db"), aside);
  ASSERT_TRUE(other) << other.error();
  (*other)->begin();
  EXPECT_TRUE(test::eventually([&] { return !troubles_.all().empty(); }));
  EXPECT_EQ(troubles_.all().at(0).of, kOfOutcomeFile);
  (*other)->roll_back();
  EXPECT_TRUE(test::eventually([&] {
    clock_.pass(std::chrono::seconds(1));
    return troubles_.all().empty();
  }));
}

TEST_F(Outcomes, SayWhereLinesMayBeMissing) {
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test"});
  sent("AAAA11111", "a@there.test");
  expect({"AAAA11111 a@there.test delivered delivered"});
  stop();
  std::filesystem::remove(folder_.file("mail.log"));
  bounced("AAAA11111", "b@there.test");
  testing::internal::CaptureStderr();
  start();
  expect({"AAAA11111 a@there.test delivered delivered", "AAAA11111 b@there.test hard_bounce user_unknown"});
  stop();
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(
      said.starts_with("replygate: outcomes: " + folder_.file("mail.log") +
                       ": what was read last is no longer there; lines may be missing that were written after "))
      << said;
  EXPECT_TRUE(said.ends_with("Z, and reading goes on at the begin of " + folder_.file("mail.log") + "\n")) << said;
}

TEST_F(Outcomes, AreBounded) {
  OutcomeSettings settings;
  settings.recipients = 1000;
  start(settings);
  for (int i = 0; i < 1500; ++i) accept(fmt::format("AAAA{:05}", i), {"a@there.test"});
  EXPECT_TRUE(test::eventually([&] { return reader_->figures().forgotten == 500; }));
  EXPECT_EQ(reader_->figures().recipients, 1000);
  clock_.pass(settings.keep + std::chrono::hours(1));
  EXPECT_TRUE(test::eventually([&] { return reader_->figures().messages == 0; }));
  EXPECT_EQ(reader_->figures().forgotten, 1500);
}

TEST_F(Outcomes, CountOnceInTheLimitsOfTheirKey) {
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test", "team@example.org"});
  sent("AAAA11111", "a@there.test");
  bounced("AAAA11111", "b@there.test");
  attempt("AAAA11111", "x@there.test", "2.0.0", "sent", "250 Ok", "team@example.org");  // an alias: not meant
  expect_used({1, 1, 0});
  for (int i = 0; i < 3; ++i) {  // what was counted just now is counted again by the next daemon
    stop();
    start();
    EXPECT_TRUE(test::eventually([&] { return reader_->figures().uncounted == 0; }));
  }
  accept("BBBB22222", {"a@there.test"}, "");  // the null sender's mail
  sent("BBBB22222", "a@there.test");
  accept("CCCC33333", {"a@there.test"});
  sent("CCCC33333", "a@there.test");
  expect_used({1, 2, 0});
}

// A limit may be raised: then it counts what really came of the mail.
TEST_F(Outcomes, CountBeyondTheLimit) {
  start();
  Texts recipients;
  for (int i = 0; i < 150; ++i) recipients.push_back(fmt::format("r{}@there.test", i));
  accept("AAAA11111", recipients);
  for (const std::string& r : recipients) bounced("AAAA11111", r);
  expect_used({150, 0, 0});
}

// `replay` counts them at that time; the log's own clock may be another.
TEST_F(Outcomes, SayWhenTheyWereCounted) {
  start();
  clock_.step(std::chrono::hours(1));
  accept("AAAA11111", {"a@there.test", "b@there.test"});
  const std::uint64_t before = *References::number_of(references_.next());
  sent("AAAA11111", "a@there.test");
  EXPECT_TRUE(test::eventually([&] { return telling_.texts().size() == 1; }));
  const Instant first = clock_.now();
  clock_.pass(std::chrono::minutes(1));
  bounced("AAAA11111", "b@there.test");
  EXPECT_TRUE(test::eventually([&] { return telling_.texts().size() == 2; }));
  const auto counted = telling_.counted();
  EXPECT_EQ(counted.at(0).first, first);
  EXPECT_EQ(counted.at(1).first, clock_.now());
  EXPECT_LT(before, counted.at(0).second);
  EXPECT_LT(counted.at(0).second, counted.at(1).second);
}

TEST_F(Outcomes, TellWhoIsDead) {
  OutcomeSettings settings;
  settings.dead_after = 2;
  start(settings);
  for (const char* id : {"AAAA11111", "BBBB22222", "CCCC33333"}) {
    accept(id, {"a@there.test", "b@example.org", "c@there.test"});
    bounced(id, "a@there.test");
    bounced(id, "b@example.org");
    if (id[0] == 'A') bounced(id, "c@there.test");
  }
  EXPECT_TRUE(test::eventually([&] { return reader_->figures().outcomes == 7; }));
  EXPECT_TRUE(is_dead("a@there.test"));
  EXPECT_FALSE(is_dead("b@example.org"));  // one of ours
  EXPECT_FALSE(is_dead("c@there.test"));   // once is not enough
  stop();
  start(settings);
  EXPECT_TRUE(is_dead("a@there.test"));
  EXPECT_TRUE(reader_->within([](OutcomeLedger&, DeadList& dead, Instant) { dead.clear("a@there.test"); }));
  EXPECT_FALSE(is_dead("a@there.test"));
}

// An alias of ours lives on where what it names elsewhere has died.
TEST_F(Outcomes, TellWhoIsDeadBehindAnAlias) {
  start();
  accept("AAAA11111", {"team@example.org"});
  const auto gone = [&](const std::string& to) {
    attempt("AAAA11111", to, "5.1.1", "bounced",
            "host mx.there.test[192.0.2.9] said: 550 5.1.1 no such user (in reply to RCPT TO command)",
            "team@example.org");
  };
  gone("x@there.test");
  gone("y@example.org");
  bounced("AAAA11111", "archive@example.org");  // of always_bcc
  EXPECT_TRUE(test::eventually([&] { return reader_->figures().outcomes == 3; }));
  EXPECT_TRUE(is_dead("x@there.test"));
  EXPECT_FALSE(is_dead("team@example.org"));
  EXPECT_FALSE(is_dead("y@example.org"));
  EXPECT_FALSE(is_dead("archive@example.org"));
}

TEST_F(Outcomes, LetTheDeadRiseAgain) {
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test"});
  bounced("AAAA11111", "a@there.test");
  bounced("AAAA11111", "b@there.test");
  EXPECT_TRUE(test::eventually([&] { return is_dead("a@there.test") && is_dead("b@there.test"); }));
  accept("BBBB22222", {"a@there.test"});
  sent("BBBB22222", "a@there.test");
  EXPECT_TRUE(test::eventually([&] { return !is_dead("a@there.test"); }));
  clock_.pass(OutcomeSettings().dead_for + std::chrono::hours(24 * 365));
  EXPECT_FALSE(is_dead("b@there.test"));
}

TEST_F(Outcomes, ComeByMailToo) {
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test"});
  log("cleanup", "AAAA11111: message-id=<one@example.org>");
  log("qmgr", "AAAA11111: from=<s@example.org>, size=1, nrcpt=2 (queue active)");
  sent("AAAA11111", "a@there.test");
  sent("AAAA11111", "b@there.test");
  log("qmgr", "AAAA11111: removed");
  expect_used({0, 2, 0});
  std::vector<OutcomeLedger::Read> read;
  const auto report = [&](const std::string& id, const std::string& recipient, const std::string& text) {
    OutcomeLedger::Report told{.message_ids = {id}};
    told.statuses.push_back({.text = text, .recipient = recipient, .told = Severity::permanent});
    if (text.starts_with("550")) told.statuses.back().code = 550;
    EXPECT_TRUE(reader_->within([&](OutcomeLedger& ledger, DeadList&, Instant now) { read = ledger.take(now, told); }));
    return read.at(0).fate;
  };
  using Fate = OutcomeLedger::Read::Fate;
  EXPECT_EQ(report("one@example.org", "a@there.test", "Feedback-Type: abuse"), Fate::counted);
  EXPECT_EQ(report("one@example.org", "a@there.test", "Feedback-Type: abuse"), Fate::known);
  EXPECT_EQ(report("one@example.org", "b@there.test", "550 5.1.1 no such user"), Fate::counted);
  EXPECT_EQ(report("one@example.org", "b@there.test", "550 5.1.1 no such user"), Fate::known);
  EXPECT_EQ(report("one@example.org", "z@there.test", "550 5.1.1 no such user"), Fate::unknown);
  EXPECT_EQ(report("two@example.org", "a@there.test", "550 5.1.1 no such user"), Fate::unknown);
  expect_used({1, 2, 1});
  // Whoever received the message could have written it.
  EXPECT_FALSE(is_dead("b@there.test"));
}

// A server that has passed mail on names in its bounce whom it passed it to.
TEST_F(Outcomes, ABounceFromBehindAnAliasCounts) {
  start();
  accept("AAAA11111", {"a@there.test"});
  accept("BBBB22222", {"a@there.test", "b@there.test"});
  EXPECT_TRUE(test::eventually([&] { return reader_->figures().messages == 2; }));
  const auto bounce = [&](const std::string& id) {
    OutcomeLedger::Report told{.queue_ids = {id}};
    told.statuses.push_back(
        {.code = 550, .text = "550 5.1.1 User unknown", .recipient = "inner@int.test", .told = Severity::permanent});
    OutcomeLedger::Read read;
    EXPECT_TRUE(
        reader_->within([&](OutcomeLedger& ledger, DeadList&, Instant now) { read = ledger.take(now, told).at(0); }));
    return read;
  };
  EXPECT_EQ(bounce("AAAA11111").fate, OutcomeLedger::Read::Fate::counted);
  EXPECT_EQ(bounce("AAAA11111").recipient, "a@there.test");
  EXPECT_EQ(bounce("BBBB22222").fate, OutcomeLedger::Read::Fate::unknown);  // one of the two: nobody knows which
  expect_used({1, 0, 0});
}

// Providers leave out who complains, or write something in his place.
TEST_F(Outcomes, ComplaintsCountThoughTheirRecipientIsHidden) {
  start();
  accept("AAAA11111", {"a@there.test"});
  accept("BBBB22222", {"a@there.test", "b@there.test"});
  accept("CCCC33333", {"a@there.test", "b@there.test"});
  for (const char* id : {"AAAA11111", "BBBB22222"}) sent(id, "a@there.test");
  attempt("AAAA11111", "copy@example.org", "2.0.0", "sent", "250 Ok");  // the MTA has added it
  sent("BBBB22222", "b@there.test");
  for (const char* to : {"a@there.test", "b@there.test"}) bounced("CCCC33333", to);
  EXPECT_TRUE(test::eventually([&] { return reader_->figures().outcomes == 6; }));
  OutcomeLedger::Read read;
  const auto complain = [&](const std::string& id, const std::string& of) {
    OutcomeLedger::Report told{.queue_ids = {id}};
    told.statuses.push_back({.text = "Feedback-Type: abuse", .recipient = of, .told = Severity::permanent});
    EXPECT_TRUE(
        reader_->within([&](OutcomeLedger& ledger, DeadList&, Instant now) { read = ledger.take(now, told).at(0); }));
    return read.fate;
  };
  using Fate = OutcomeLedger::Read::Fate;
  EXPECT_EQ(complain("AAAA11111", "f8ae2c@redacted.invalid"), Fate::counted);
  EXPECT_EQ(read.recipient, "a@there.test");
  EXPECT_EQ(complain("AAAA11111", ""), Fate::known);
  EXPECT_EQ(complain("BBBB22222", "[redacted]"), Fate::counted);
  EXPECT_EQ(read.recipient, "");
  EXPECT_EQ(read.sending.queue_id, "BBBB22222");
  EXPECT_EQ(complain("BBBB22222", "f8ae2c@there.test"), Fate::known);  // once, whoever it is
  EXPECT_EQ(complain("BBBB22222", "b@there.test"), Fate::counted);     // who names himself
  EXPECT_EQ(complain("CCCC33333", "[redacted]"), Fate::known);         // nobody has received it
  EXPECT_EQ(complain("DDDD44444", "[redacted]"), Fate::unknown);
  expect_used({2, 3, 3});
  // Nobody is left who could still get the mail.
  log("qmgr", "BBBB22222: from=<s@example.org>, status=expired, returned to sender");
  bounced("BBBB22222", "z@there.test");
  EXPECT_TRUE(test::eventually([&] { return reader_->figures().outcomes == 10; }));
}

TEST_F(Outcomes, NobodyComplainsOfWhatHeDidNotGet) {
  start();
  accept("AAAA11111", {"a@there.test"});
  bounced("AAAA11111", "a@there.test");
  EXPECT_TRUE(test::eventually([&] { return reader_->figures().outcomes == 1; }));
  OutcomeLedger::Report told{.queue_ids = {"AAAA11111"}};
  told.statuses.push_back({.text = "Feedback-Type: abuse", .recipient = "a@there.test", .told = Severity::permanent});
  std::vector<OutcomeLedger::Read> read;
  EXPECT_TRUE(reader_->within([&](OutcomeLedger& ledger, DeadList&, Instant now) { read = ledger.take(now, told); }));
  EXPECT_EQ(read.at(0).fate, OutcomeLedger::Read::Fate::known);
}

TEST_F(Outcomes, ATaskThatThrowsEndsAlone) {
  start();
  EXPECT_FALSE(reader_->within([](OutcomeLedger&, DeadList&, Instant) { throw std::runtime_error("no"); }));
  accept("AAAA11111", {"a@there.test"});
  sent("AAAA11111", "a@there.test");
  expect({"AAAA11111 a@there.test delivered delivered"});
  reader_->refuse_tasks();
  EXPECT_FALSE(reader_->within([](OutcomeLedger&, DeadList&, Instant) {}));
}

// A resolver that is out of order must not make anybody dead, nor use up anybody's limit.
TEST_F(Outcomes, WhatOurOwnResolverDoesNotFindIsNotDead) {
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test"});
  log("smtp",
      "AAAA11111: to=<a@there.test>, relay=none, delay=1, delays=0/0/1/0, dsn=5.4.4, status=bounced (Host or domain "
      "name not found. Name service error for name=there.test type=A: Host not found)");
  bounced("AAAA11111", "b@there.test");
  expect({"AAAA11111 a@there.test failed domain_unknown", "AAAA11111 b@there.test hard_bounce user_unknown"});
  expect_used({1, 0, 0});
  EXPECT_FALSE(is_dead("a@there.test"));
  EXPECT_TRUE(is_dead("b@there.test"));
}

// What a transport map or a typing error does is nobody's answer.
TEST_F(Outcomes, WhatNobodyWasAskedIsNotDead) {
  start();
  accept("AAAA11111", {"a@there.test", "b@there.test", "c@there.test", "d@example.org"});
  const auto given_up = [this](const std::string& to, std::string_view relay, std::string_view dsn,
                               std::string_view text) {
    log("error", fmt::format("AAAA11111: to=<{}>, relay={}, delay=1, delays=0/0/1/0, dsn={}, status=bounced ({})", to,
                             relay, dsn, text));
  };
  given_up("a@there.test", "none", "5.1.1", "User unknown in virtual alias table");
  given_up("b@there.test", "none", "5.1.3", "bad address syntax");
  given_up("c@there.test", "none", "5.7.1", "550 5.7.1 this host is blocked by zen.spamhaus.org");
  given_up("d@example.org", "local", "5.1.1", "unknown user: \"d\"");
  expect({"AAAA11111 a@there.test failed user_unknown", "AAAA11111 b@there.test failed user_unknown",
          "AAAA11111 c@there.test failed ip_blocked", "AAAA11111 d@example.org hard_bounce user_unknown"});
  expect_used({1, 0, 0});
  EXPECT_FALSE(is_dead("a@there.test"));
  EXPECT_FALSE(is_dead("b@there.test"));
}

TEST(OutcomeKinds, TellAServersAnswerFromOurResolvers) {
  const auto book = open_status_book("");
  ASSERT_TRUE(book) << book.error();
  const auto kind = [&](std::string_view line) {
    const auto statuses = read_line(line);
    if (statuses.size() != 1) return std::string("no status");
    const auto outcome = outcome_of(statuses.front(), (*book)->explain(statuses.front()));
    return outcome ? std::string(to_string(*outcome)) : "none";
  };
  const auto postfix = [&](std::string_view rest) {
    return kind(
        fmt::format("2026-11-30T07:00:00Z mx postfix/smtp[1]: ABCDEF1234: to=<x@d.example>, relay=none, delay=1, "
                    "delays=0/0/1/0, {}",
                    rest));
  };
  const std::string lead = "dsn=5.4.4, status=bounced (Host or domain name not found. Name service error for name=";
  EXPECT_EQ(postfix(lead + "d.example type=A: Host not found)"), "failed");
  EXPECT_EQ(postfix(lead + "d.example type=AAAA: Host found but no data record of requested type)"), "failed");
  EXPECT_EQ(postfix("dsn=5.4.4, status=bounced (unable to look up host mx.d.example: No address associated with "
                    "hostname)"),
            "failed");
  EXPECT_EQ(postfix("dsn=5.1.0, status=bounced (Domain d.example does not accept mail (nullMX))"), "failed");
  EXPECT_EQ(postfix("dsn=4.4.3, status=deferred (Host or domain name not found. Name service error for name=d.example "
                    "type=MX: Host not found, try again)"),
            "deferred");
  EXPECT_EQ(
      kind("Nov 30 07:00:00 mx sendmail[1]: 5AU70000001: to=<x@d.example>, delay=00:00:00, xdelay=00:00:00, "
           "mailer=esmtp, pri=30000, relay=d.example., dsn=5.1.2, stat=Host unknown (Name server: d.example.: host "
           "not found)"),
      "failed");
  EXPECT_EQ(kind("2026-11-30 07:00:00 1abcDE-000001-AB ** x@d.example R=dnslookup: all relevant MX records point to "
                 "non-existent hosts"),
            "failed");
  EXPECT_EQ(kind("2026-11-30 07:00:00 1abcDE-000001-AB ** x@d.example: Unrouteable address"), "failed");
  EXPECT_EQ(kind("2026-11-30 07:00:00 1abcDE-000001-AB ** x@d.example R=old: no such user any more"), "failed");
  EXPECT_EQ(
      kind("Nov 30 07:00:00 mx sendmail[1]: 5AU70000001: to=<x@d.example>, delay=00:00:00, mailer=error, pri=30000, "
           "dsn=5.1.1, stat=User unknown"),
      "failed");
  EXPECT_EQ(kind("Nov 30 07:00:00 mx sendmail[1]: 5AU70000001: to=<x@here.example>, delay=00:00:00, mailer=local, "
                 "pri=30000, dsn=5.1.1, stat=User unknown"),
            "hard_bounce");
  EXPECT_EQ(kind("550 5.1.2 no such domain"), "hard_bounce");
  EXPECT_EQ(
      kind("556 5.1.10 <x@d.example>: Recipient address rejected: Domain d.example does not accept mail (nullMX)"),
      "hard_bounce");
}

// soft_bounce of Postfix keeps what a server has refused for good; what Exim gives up may have had a soft reply.
TEST(OutcomeKinds, AreWhatTheMtaMadeOfAReply) {
  const auto book = open_status_book("");
  ASSERT_TRUE(book) << book.error();
  const auto kind = [&](std::optional<int> code, EnhancedCode enhanced, Severity told) {
    const RemoteStatus status{.code = code, .enhanced = enhanced, .text = "user unknown", .told = told};
    return outcome_of(status, (*book)->explain(status));
  };
  EXPECT_EQ(kind(550, {5, 1, 1}, Severity::permanent), OutcomeKind::hard_bounce);
  EXPECT_EQ(kind(550, {5, 1, 1}, Severity::transient), OutcomeKind::deferred);
  EXPECT_EQ(kind(450, {4, 2, 0}, Severity::permanent), OutcomeKind::failed);
  EXPECT_EQ(kind(450, {4, 2, 0}, Severity::transient), OutcomeKind::deferred);
  EXPECT_EQ(kind(std::nullopt, {4, 1, 1}, Severity::permanent), OutcomeKind::failed);
}

TEST(OutcomeKinds, AreWhatExplainSays) {
  const auto kind = [](Reason reason, Severity severity, std::optional<bool> dead = std::nullopt) {
    Explained e;
    e.reason = reason;
    e.severity = severity;
    e.dead = dead;
    e.fault = info_of(reason).fault;
    const auto outcome = outcome_of({.code = 550}, e);
    EXPECT_EQ(outcome_of(RemoteStatus(), e), outcome);  // a server need not give its code
    return outcome ? std::string(to_string(*outcome)) : "none";
  };
  EXPECT_EQ(kind(Reason::user_unknown, Severity::permanent, true), "hard_bounce");
  EXPECT_EQ(kind(Reason::user_unknown, Severity::transient, true), "deferred");
  EXPECT_EQ(kind(Reason::mailbox_full, Severity::permanent, false), "failed");
  EXPECT_EQ(kind(Reason::spam, Severity::permanent), "blocked");
  EXPECT_EQ(kind(Reason::auth_failure, Severity::permanent), "blocked");
  EXPECT_EQ(kind(Reason::own_refusal, Severity::permanent), "none");
  EXPECT_EQ(kind(Reason::complaint, Severity::permanent), "complaint");
  for (const OutcomeKind k : {OutcomeKind::delivered, OutcomeKind::deferred, OutcomeKind::hard_bounce,
                              OutcomeKind::blocked, OutcomeKind::failed, OutcomeKind::complaint}) {
    EXPECT_EQ(outcome_kind_from(to_string(k)), k);
  }
}

}  // namespace
}  // namespace replygate
