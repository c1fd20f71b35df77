#include "policy/decide/gate.h"

#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace replygate::test {
namespace {

// Answers when the test says so, or never in time.
class SlowStore final : public Store {
 public:
  void take(std::vector<Charge> charges, bool, Instant, Taken done) override {
    charges_ = charges.size();
    done_ = std::move(done);
  }
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant, Settled done) override {
    for (const ReservationId id : ids) {
      if (id != 0) settled.emplace_back(id, settlement);
    }
    done();
  }
  void forget(std::vector<std::string>, Instant, Forgotten done) override { done(true); }
  void answer(std::int64_t used, std::int64_t most) {
    Readings readings{.readings = {}, .reservation = 7};
    readings.readings.resize(charges_, Reading{.used = used, .fits = used < most, .room_at = std::nullopt});
    done_(std::move(readings));
  }
  void time_out() { done_({}); }

  std::vector<std::pair<ReservationId, Settlement>> settled;

 private:
  std::size_t charges_ = 0;
  Taken done_;
};

class GateTest : public ::testing::Test {
 protected:
  GateTest() : GateTest("") {}
  explicit GateTest(std::string_view more) {
    policy_ = policy_from(
        "[[rule]]\nname = \"q\"\nper = \"sender\"\nlimit = \"5 messages / 1h\"\nreply = \"rate-limited\"\n" +
        std::string(more));
  }

  void mail() {
    session_ = std::make_unique<Session>(policy_, Session::Services{gate_, records_, references_}, Session::Door{});
    session_->mail({.sender = "<a@x.example>"}, now_, [this](Answer answer) { answers_.push_back(std::move(answer)); });
  }

  // A limit's refusal waits for the recipients.
  std::string rcpt() {
    session_->rcpt({.recipient = "<b@y.example>"}, now_,
                   [this](Answer answer) { answers_.push_back(std::move(answer)); });
    const auto& refusal = answers_.back().refusal;
    return refusal ? refusal->one_line() : "";
  }

  Instant now_{std::chrono::hours(490000)};
  std::shared_ptr<const Policy> policy_;
  SlowStore store_;
  Gate gate_{store_};
  Records records_;
  References references_{1};
  std::unique_ptr<Session> session_;
  std::vector<Answer> answers_;
};

TEST_F(GateTest, AnswersWhenTheStoreDoes) {
  mail();
  EXPECT_TRUE(answers_.empty());
  store_.answer(0, 5);
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_FALSE(answers_[0].refusal);
  session_->abort(now_);
  EXPECT_EQ(store_.settled, (std::vector{std::pair<ReservationId, Settlement>(7, Settlement::give_back)}));
}

TEST_F(GateTest, ARefusalGivesBackAtOnce) {
  mail();
  store_.answer(5, 5);
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_FALSE(answers_[0].refusal);
  EXPECT_EQ(rcpt().substr(0, 3), "451");
  EXPECT_EQ(store_.settled, (std::vector{std::pair<ReservationId, Settlement>(7, Settlement::give_back)}));
}

TEST_F(GateTest, AStoreThatIsLateIsUnknown) {
  mail();
  store_.time_out();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(rcpt(), "451 4.3.0 Local error in processing, try again later");
  session_->abort(now_);
  EXPECT_NE(records_.json.front().find("\"unknown\":[\"q\"],\"unread\":[\"q\"]"), std::string::npos);
}

class LenientGateTest : public GateTest {
 protected:
  LenientGateTest() : GateTest("on_unknown = \"skip\"\n") {}
};

TEST_F(LenientGateTest, ARuleMaySkipWhatIsUnknown) {
  mail();
  store_.time_out();
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_FALSE(answers_[0].refusal);
}

}  // namespace
}  // namespace replygate::test
