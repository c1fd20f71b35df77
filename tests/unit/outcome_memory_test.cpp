// What is kept of millions of mails while logs are played again, to the octet. Prints the figures.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdlib>
#include <new>

#include "milter/bounce/status_files.h"
#include "milter/outcome/logged_outcomes.h"
#include "milter/outcome/past_records.h"
#include "policy/remote/log_line.h"
#include "policy/scenario/replayed_outcomes.h"
#include "tests/support/folder.h"
#include "tests/support/thief_policy.h"
#include "tests/support/world.h"

namespace {

std::int64_t in_use = 0;  // octets; this program has one thread
std::int64_t most_in_use = 0;

void* allocate(std::size_t size) {
  void* memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  in_use += static_cast<std::int64_t>(malloc_usable_size(memory) + sizeof(std::size_t));
  most_in_use = std::max(most_in_use, in_use);
  return memory;
}

void release(void* memory) {
  if (memory != nullptr) in_use -= static_cast<std::int64_t>(malloc_usable_size(memory) + sizeof(std::size_t));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size); }
void operator delete(void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }

namespace replygate {
namespace {

using std::chrono::milliseconds;

constexpr int kMails = 20000;

std::int64_t told(const char* what, std::int64_t octets) {
  fmt::print("{}: {} octets a mail\n", what, octets);
  return octets;
}

class OutcomeMemory : public testing::Test {
 protected:
  // Octets a mail of one recipient, of so many senders.
  std::int64_t replayed(int senders) {
    MemoryStore store;
    ReplayedOutcomes outcomes(policy_, store);
    const std::int64_t before = in_use;
    for (int i = 0; i < kMails; ++i) {
      PastTransaction t;
      t.time = Instant(milliseconds(1764500000000 + i));
      t.queue_id = fmt::format("4XyZ{:011}", i);
      t.recipients.emplace_back().address = fmt::format("recipient.{}@far.example", i);
      const Record record = record_of(t, fmt::format("sender.{}@here.example", i % senders));
      outcomes.ended(t, {0}, &record);
    }
    EXPECT_EQ(outcomes.mails(), kMails);
    return (in_use - before) / kMails;
  }
  Record record_of(const PastTransaction& t, const std::string& sender) const {
    Record record{.policy = policy_, .time = t.time, .begun = t.time, .door = "milter"};
    record.ending = Ending::accepted;
    record.transaction.sender = mailbox_of(sender);
    const std::string& to = t.recipients[0].address;
    JudgedRecipient judged{.recipient = {.raw = to, .address = mailbox_of(to)}, .verdict = {}, .ref = "r", .time = {}};
    const Rule& rule = policy_->rules().front();
    judged.verdict.limits.push_back({.rule = &rule, .limit = rule.limits.front(), .key = sender});
    record.recipients.push_back(std::move(judged));
    return record;
  }
  // The most octets while a log is read.
  static std::int64_t read(const test::Folder& folder, int mails) {
    {
      std::ofstream log(folder.file("mail.log"));
      for (int i = 0; i < mails; ++i) {
        const std::string begin =
            fmt::format("2026-11-30T{:02}:{:02}:{:02}Z mx postfix/", i / 36000, i / 600 % 60, i / 10 % 60);
        const std::string id = fmt::format("4XyZ{:011}", i);
        log << begin << "smtpd[7]: " << id << ": client=pc[192.0.2.7]\n";
        log << begin << "qmgr[7]: " << id << ": from=<c@here.example>, size=9, nrcpt=1 (queue active)\n";
        log << begin << "smtp[7]: " << id << ": to=<recipient." << i
            << "@far.example>, relay=mx.far.example[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, status=sent "
               "(250 2.0.0 Ok)\n";
        log << begin << "qmgr[7]: " << id << ": removed\n";
      }
    }
    std::int64_t outcomes = 0;
    const std::int64_t before = most_in_use = in_use;
    const auto figures = read_past(
        {"", {folder.file("mail.log")}},
        {.transaction = [](const PastTransaction&) {}, .outcome = [&](const PastOutcome&) { ++outcomes; }}, {});
    EXPECT_TRUE(figures);
    EXPECT_EQ(outcomes, mails);
    return most_in_use - before;
  }

  const std::shared_ptr<const Policy> policy_ = test::policy_from(test::kThiefPolicy);
};

TEST_F(OutcomeMemory, OfMailThatIsPlayedAgainIsSmall) {
  EXPECT_LT(told("mail of 500 senders, played again", replayed(500)), 400);
  EXPECT_LT(told("mail of a sender each, played again", replayed(kMails)), 600);
}

TEST_F(OutcomeMemory, OfMailInALogIsSmallAndGivenBack) {
  const auto book = open_status_book("");
  ASSERT_TRUE(book) << book.error();
  LoggedOutcomes outcomes(**book, [](const PastOutcome&) {});
  std::int64_t before = 0;
  for (int i = -1; i < kMails; ++i) {
    if (i == 0) before = in_use;  // the book has learnt the text
    LoggedMail mail;
    mail.time = Instant(milliseconds(1764500000000 + i));
    mail.id = fmt::format("4XyZ{:011}", i);
    const std::string to = fmt::format("recipient.{}@far.example", i);
    mail.recipients = {to};
    const LogEvent event = read_log_event(
        "Nov 30 10:00:01 mx postfix/smtp[3]: 4XyZ00000000000: to=<r@far.example>, relay=mx[192.0.2.9]:25, delay=1, "
        "delays=0/0/1/0, dsn=2.0.0, status=sent (250 ok)");
    outcomes.attempt(mail.time, mail, event, to);
  }
  EXPECT_LT(told("mail of a log", (in_use - before) / kMails), 600);
  for (int i = -1; i < kMails; ++i) {
    LoggedMail mail;
    mail.time = Instant(milliseconds(1764500000000 + i));
    mail.id = fmt::format("4XyZ{:011}", i);
    outcomes.over(mail);
  }
  EXPECT_EQ(outcomes.recipients(), 0U);
}

TEST_F(OutcomeMemory, OfALogIsThatOfTheMailUnderWay) {
  const test::Folder folder;
  const std::int64_t some = read(folder, 5000);
  const std::int64_t many = read(folder, 40000);
  fmt::print("a log of 5000 mails: {} octets at most, of 40000: {}\n", some, many);
  EXPECT_LT(many, some + some / 10);
}

}  // namespace
}  // namespace replygate
