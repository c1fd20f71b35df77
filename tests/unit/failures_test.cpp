// What fails within a decision, at every place where it can: each service at each of its calls, and each allocation.
// Nobody dies, each command has its answer or its connection ends, and nothing is counted but what was accepted.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "milter/door/wire/dialogue.h"
#include "milter/store/redis_store.h"
#include "policy/decide/inquiry.h"
#include "tests/support/eventually.h"
#include "tests/support/failing_services.h"
#include "tests/support/redis_server.h"
#include "tests/support/wire.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

using Next = wire::Dialogue::Next;

constexpr std::string_view kPolicy = R"(
[site]
local_domains = ["x.example"]
[mailbox]
file = "/none"
[[rule]]
name = "clients"
per = "client_ip"
limit = "100000 connections / 1d"
reply = 421
[[rule]]
name = "blocked"
when = { recipient = "blocked@x.example" }
per = "client_ip"
reply = 550
escalate = [{ after = "1000 refusals / 1d", reply = 554 }]
[[rule]]
name = "full"
when = { mailbox_used = ">= 100%" }
reply = 552
[[rule]]
name = "quota"
per = "sender"
limit = ["100000 recipients / 1d", "100000 messages / 1h"]
warn_at = "50%"
reply = 452
[[rule]]
name = "held"
when = { recipient = "e@x.example" }
per = "recipient"
limit = "0 recipients / 1d"
hold = "look at it"
[[rule]]
name = "tries"
per = "sender"
limit = "100000 recipients / 1d"
count = "attempts"
reply = 452
[[rule]]
name = "spread"
per = "sender"
limit = "1000 distinct_recipients / 1d"
reply = 452
[[rule]]
name = "message"
limit = "100 recipients / message"
reply = 452
[[rule]]
name = "seen"
when = { header.subject = "/words/" }
header = { X-Seen = "{sender}" }
)";

const std::vector<std::string>& script() {
  static const std::vector<std::string> packets = {negotiation(6, 0x1ff, 0),
                                                   connect_packet("192.0.2.1"),
                                                   helo_packet(),
                                                   macros_packet('M', {"i", "4QUEUE", "{auth_authen}", "alice"}),
                                                   mail_packet("<s@x.example>"),
                                                   rcpt_packet("<full@x.example>"),
                                                   rcpt_packet("<a@x.example>"),
                                                   rcpt_packet("<blocked@x.example>"),
                                                   rcpt_packet("<b@x.example>"),
                                                   packet('T'),
                                                   header_packet("Subject", "few words"),
                                                   packet('N'),
                                                   packet('B', "body\r\n"),
                                                   packet('E'),
                                                   mail_packet("<s@x.example>"),
                                                   rcpt_packet("<c@x.example>"),
                                                   packet('A'),
                                                   mail_packet("<s@x.example>"),
                                                   rcpt_packet("<d@x.example>"),
                                                   packet('E'),
                                                   mail_packet("<s@x.example>"),
                                                   rcpt_packet("<e@x.example>"),
                                                   packet('Q')};
  return packets;
}

bool is_answered(const std::string& one) { return one[4] != 'D' && one[4] != 'A' && one[4] != 'Q'; }

// What an MTA heard, and what must be counted for it then.
struct Told {
  std::vector<std::string> answers;
  long accepted = 0;  // recipients
  long messages = 0;
  long may = 0;  // recipients of a message whose end was not answered
  long tried = 0;
  bool silent = false;  // an answer never came

  void note(const std::string& one, const std::string& out) {
    auto heard = packets_in(out);
    const std::string answer = heard.empty() ? "" : heard.back().text();
    std::erase_if(heard, [](const Heard& h) { return h.command == 'h'; });
    EXPECT_LE(heard.size(), is_answered(one) ? 1U : 0U);
    answers.push_back(answer);
    const bool good = answer == "c";
    if (one[4] == 'M') pending_ = 0;
    if (one[4] == 'R') {
      pending_ += good ? 1 : 0;
      tried += 1;
    }
    if (one[4] != 'E') return;
    accepted += good ? pending_ : 0;
    messages += good ? 1 : 0;
    may += answer.empty() ? pending_ : 0;
  }

 private:
  long pending_ = 0;
};

// That a decision has come, on whatever thread.
class Wake {
 public:
  void call() {
    const std::lock_guard lock(mutex_);
    called_ = true;
    wake_.notify_one();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, std::chrono::seconds(5), [this] { return std::exchange(called_, false); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool called_ = false;
};

class Failures : public ::testing::Test {
 protected:
  Failures() { testing::internal::CaptureStderr(); }
  ~Failures() override { testing::internal::GetCapturedStderr(); }

  // Plays the script as far as the connection lasts. Only the daemon's own allocations fail.
  Told play(Store& store, std::int64_t allocation = 0) {
    Gate gate(store);
    const DoorServices services{policy_, gate, sink_, references_, clock_, traffic_, times_, &mailboxes_};
    Wake wake;
    Told told;
    auto dialogue = std::make_unique<wire::Dialogue>(services, [&] { wake.call(); });
    fail_allocation(allocation);
    for (const std::string& one : script()) {
      std::string out;
      Next next = dialogue->take({one[4], std::string_view(one).substr(5)}, out);
      if (next == Next::wait) {
        const WithoutFailures test;
        told.silent = !wake.wait();
      }
      if (told.silent) std::abort();  // who waits may not be destroyed
      if (next == Next::wait) next = dialogue->resume(out);
      const WithoutFailures test;
      told.note(one, out);
      if (next == Next::close) break;
    }
    dialogue.reset();
    return told;
  }

  std::int64_t used(std::string_view rule, std::size_t limit = 0) {
    for (const Rule& r : policy_->rules()) {
      if (r.name != rule) continue;
      const auto asks = asks_of_key(*policy_, r, key_from_text(r, "s@x.example", policy_->site()).value(), now_);
      if (limit >= asks.size()) {
        limit -= asks.size();
        continue;
      }
      Charge look = charge_of(asks.at(limit), 0, false, false);
      look.cost = 0;
      look.warn_at = 0;
      return store_.take_now({look}, false, now_).readings.front()->used;
    }
    return -1;
  }
  struct Counted {
    std::int64_t recipients, messages, tries;
  };
  Counted counted() { return {used("quota", 1), used("quota", 0), used("tries")}; }

  // Nothing is left behind by what failed, and the same dialogue then has its answers and counts.
  void expect_exact(const Told& told, Counted before, const std::string& what) {
    EXPECT_EQ(store_.reservations(), 0U) << what;
    EXPECT_EQ(traffic_.transactions(), 0) << what;
    const Counted after = counted();
    const auto between = [&](std::int64_t n, std::int64_t least, std::int64_t most, std::string_view of) {
      EXPECT_TRUE(n >= least && n <= most) << what << ": " << of << ' ' << n << ", not " << least << " to " << most
                                           << "; answers: " << fmt::format("{}", fmt::join(told.answers, ", "));
    };
    between(after.recipients - before.recipients, told.accepted, told.accepted + told.may, "recipients");
    between(after.messages - before.messages, told.messages, told.messages + (told.may > 0 ? 1 : 0), "messages");
    between(after.tries - before.tries, told.accepted, told.tried, "tries");
    const Told again = play(store_);
    EXPECT_EQ(again.answers, right_) << what;
    const Counted then = counted();
    EXPECT_EQ(then.recipients - after.recipients, 3) << what;
    EXPECT_EQ(then.messages - after.messages, 2) << what;
    EXPECT_EQ(store_.reservations(), 0U) << what;
  }

  // Each call of one service fails, until the script makes no more.
  void each_call(Failing& service, Store& store, const std::function<void()>& drain = [] {}) {
    right_ = play(store_).answers;
    ASSERT_EQ(counted().recipients, 3);
    for (long n = 1;; ++n) {
      const Counted before = counted();
      service.fail_at(n);
      const Told told = play(store);
      drain();
      const bool reached = service.failed();
      service.fail_at(0);
      RecordProperty("calls", static_cast<int>(n - 1));
      if (!reached) {
        EXPECT_GT(n, 3);
        return;
      }
      expect_exact(told, before, fmt::format("call {}", n));
      if (HasFailure()) return;
    }
  }

  const Instant now_{std::chrono::hours(490000)};
  const std::shared_ptr<const Policy> policy_ = policy_from(kPolicy);
  MemoryStore store_;
  FailingStore failing_{store_};
  FailingMailboxes mailboxes_;
  FailingSink sink_;
  FailingClock clock_;
  References references_{1};
  Traffic traffic_;
  DecisionTimes times_;
  std::vector<std::string> right_;
};

TEST_F(Failures, OfTheStore) { each_call(failing_, failing_); }
TEST_F(Failures, OfMailboxes) { each_call(mailboxes_, store_); }
TEST_F(Failures, OfRecords) { each_call(sink_, store_); }
TEST_F(Failures, OfTheClock) { each_call(clock_, store_); }

TEST_F(Failures, OfAStoreOnAThreadOfItsOwn) {
  ThreadedStore threaded(failing_);
  each_call(failing_, threaded, [&] { threaded.allocation_failed(); });
}

TEST_F(Failures, OfEachAllocation) {
  right_ = play(store_).answers;
  for (std::int64_t n = 1; n <= 2000; ++n) {
    const Counted before = counted();
    const Told told = play(store_, n);
    const bool reached = allocation_failed();
    fail_allocation(0);
    expect_exact(told, before, fmt::format("allocation {}", n));
    RecordProperty("allocations", static_cast<int>(n));
    if (HasFailure() || !reached) return;
  }
}

TEST_F(Failures, OfEachAllocationOfAStoresThread) {
  right_ = play(store_).answers;
  ThreadedStore threaded(store_);
  for (std::int64_t n = 1; n <= 2000; ++n) {
    const Counted before = counted();
    threaded.fail_allocation(n);
    const Told told = play(threaded);
    const bool reached = threaded.allocation_failed();
    threaded.fail_allocation(0);
    threaded.allocation_failed();
    expect_exact(told, before, fmt::format("allocation {}", n));
    RecordProperty("allocations", static_cast<int>(n));
    if (HasFailure() || !reached) return;
  }
}

// On the store's own thread, where decisions go on.
TEST_F(Failures, OfEachAllocationOfTheThreadOfRedis) {
  const RedisServer server;
  const Clock clock;
  StoreHealth health;
  StoreSettings settings{.backend = StoreSettings::Backend::redis, .servers = {server.address()}};
  settings.timeout = std::chrono::seconds(1);
  const auto redis = RedisStore::open(settings, clock, health).value();
  ASSERT_TRUE(eventually([&] { return redis->available(); }));
  const auto take = [&](std::int64_t cost, const std::function<void()>& then) {
    auto told = std::make_shared<std::promise<Readings>>();
    auto readings = told->get_future();
    const Charge charge{.counter = "q", .measure = Sliding{std::chrono::hours(1)}, .most = 1'000'000, .cost = cost};
    redis->take({charge}, true, clock.now(), [told = std::move(told), then](Readings r) {
      then();
      told->set_value(std::move(r));
    });
    return readings.get();
  };
  std::int64_t kept = 0;
  for (std::int64_t n = 1;; ++n) {
    bool reached = false;
    take(0, [n] { fail_allocation(n); });
    const Readings readings = take(1, [&] { reached = allocation_failed(); });
    std::promise<void> settled;
    redis->settle({readings.reservation}, Settlement::keep, clock.now(), [&] { settled.set_value(); });
    settled.get_future().wait();
    take(0, [&] {
      reached = reached || allocation_failed();
      fail_allocation(0);
    });
    kept += readings.reservation != 0 ? 1 : 0;
    ASSERT_TRUE(eventually([&] {
      const Readings now = take(0, [] {});
      return !now.readings.empty() && now.readings.front()->used == kept;
    })) << n;
    RecordProperty("allocations", static_cast<int>(n));
    if (!reached) break;
    ASSERT_LT(n, 2000);
  }
  // Nothing is reserved any more, though no message says so.
  EXPECT_TRUE(eventually([&] { return server.ask({"HKEYS", "{replygate}:q"}).find('r') == std::string::npos; }));
}

// The memory of the decision that failed is used again by the next ones.
TEST(AfterAFailure, TheNextDecisionsCountUnderTheirOwnNames) {
  constexpr std::string_view kTwo = R"(
[[rule]]
name = "users"
when = { authenticated = true }
per = "user"
limit = "100 distinct_recipients / 1h"
reply = "quota-exceeded"
[[rule]]
name = "strangers"
when = { authenticated = false }
per = "sender"
limit = "1 recipients / 1h"
reply = "quota-exceeded"
)";
  bool reached = true;
  for (std::int64_t n = 1; reached; ++n) {
    ASSERT_LT(n, 1000);
    World world(kTwo);
    Talk talk(world);
    talk.connect("192.0.2.1");
    talk.mail("<u@x.example>", "u@x.example");
    EXPECT_EQ(talk.rcpt("<a@y.example>"), "");
    talk.mail("<" + std::string(60, 's') + "@x.example>");
    fail_allocation(n);
    try {
      talk.rcpt("<b@y.example>");
    } catch (const std::exception&) {
      // The test's own allocations fail, too.
    }
    reached = allocation_failed();
    fail_allocation(0);
    for (int i = 0; i < 3; ++i) {
      Talk other(world);
      other.connect("192.0.2.1");
      other.mail(fmt::format("<stranger-with-a-long-name-{}@x.example>", i));
      EXPECT_EQ(other.rcpt("<b@y.example>"), "") << n;
      EXPECT_NE(other.rcpt("<b@y.example>"), "") << n;
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace replygate::test
