#include "milter/serve/report_mailer.h"

#include <gtest/gtest.h>

#include "milter/serve/report_times.h"
#include "policy/scenario/scenario.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"
#include "tests/support/local_zone.h"

namespace replygate {
namespace {

using test::Folder;
using test::HandClock;
using Every = ReportSettings::Every;

// In the time zone of Berlin: UTC+1, in summer UTC+2.
class ReportTimes : public testing::Test {
 protected:
  static Instant due(Every every, std::int64_t at, const char* now) {
    return report_due({.to = {}, .every = every, .at = at}, *parse_time(now));
  }

 private:
  const test::LocalZone zone_{"Europe/Berlin"};
};

TEST_F(ReportTimes, ADayBeginsWhereThisHostIs) {
  EXPECT_EQ(due(Every::day, 360, "2026-11-30T04:59:59Z"), *parse_time("2026-11-29T05:00:00Z"));
  EXPECT_EQ(due(Every::day, 360, "2026-11-30T05:00:00Z"), *parse_time("2026-11-30T05:00:00Z"));
  EXPECT_EQ(due(Every::day, 0, "2026-11-30T22:59:00Z"), *parse_time("2026-11-29T23:00:00Z"));
}

TEST_F(ReportTimes, AClockChangeKeepsTheHour) {
  EXPECT_EQ(due(Every::day, 360, "2026-10-25T12:00:00Z"), *parse_time("2026-10-25T05:00:00Z"));
  EXPECT_EQ(due(Every::day, 360, "2026-10-25T04:30:00Z"), *parse_time("2026-10-24T04:00:00Z"));
}

TEST_F(ReportTimes, AWeekBeginsOnMonday) {
  EXPECT_EQ(due(Every::week, 360, "2026-11-30T05:00:00Z"), *parse_time("2026-11-30T05:00:00Z"));
  EXPECT_EQ(due(Every::week, 360, "2026-11-30T04:00:00Z"), *parse_time("2026-11-23T05:00:00Z"));
  EXPECT_EQ(due(Every::week, 360, "2026-12-06T22:00:00Z"), *parse_time("2026-11-30T05:00:00Z"));
}

struct Posted {
  std::vector<Note> notes;
  bool fails = false;
};

class Post final : public NoteCarrier {
 public:
  explicit Post(Posted& posted) : posted_(posted) {}
  bool is_for(const Note&) const override { return true; }
  tl::expected<void, std::string> carry(const Note& note) override {
    if (posted_.fails) return tl::unexpected<std::string>("no MTA");
    posted_.notes.push_back(note);
    return {};
  }
  void stop() override {}

 private:
  Posted& posted_;
};

// At six in the morning, UTC.
class ReportMail : public testing::Test {
 protected:
  void SetUp() override { clock.pass(*parse_time("2026-11-29T12:00:00Z") - clock.now()); }

  std::unique_ptr<ReportMailer> mailer() {
    const auto write = [this](Instant from, const std::function<void()>&) -> tl::expected<std::string, std::string> {
      since.push_back(from);
      return "all is well\nand more\n";
    };
    return std::make_unique<ReportMailer>(ReportSettings{.to = {"p@here.example"}}, folder.file("until"), write,
                                          std::make_unique<Post>(posted), clock, troubles);
  }
  void look(ReportMailer& at, const char* time) {
    clock.pass(*parse_time(time) - clock.now());
    at.look();
  }

  const test::LocalZone zone{"UTC"};
  Folder folder;
  HandClock clock;
  Troubles troubles;
  Posted posted;
  std::vector<Instant> since;
};

TEST_F(ReportMail, ComesWhenItIsDueAndTellsOfTheTimeBetween) {
  const auto reports = mailer();
  look(*reports, "2026-11-29T23:00:00Z");
  EXPECT_TRUE(posted.notes.empty());
  look(*reports, "2026-11-30T06:00:10Z");
  look(*reports, "2026-11-30T06:00:30Z");
  ASSERT_EQ(posted.notes.size(), 1U);
  EXPECT_EQ(posted.notes[0].subject, "replygate: all is well");
  EXPECT_EQ(posted.notes[0].text, "all is well\nand more\n");
  look(*reports, "2026-12-01T06:00:00Z");
  EXPECT_EQ(since, (std::vector{*parse_time("2026-11-29T12:00:00Z"), *parse_time("2026-11-30T06:00:10Z")}));
}

TEST_F(ReportMail, ARestartNeitherSkipsNorRepeats) {
  const auto first = mailer();
  look(*first, "2026-11-30T06:00:10Z");
  const auto second = mailer();
  look(*second, "2026-11-30T06:00:40Z");
  EXPECT_EQ(posted.notes.size(), 1U);
  const auto later = mailer();  // three days without a daemon
  look(*later, "2026-12-03T15:00:00Z");
  EXPECT_EQ(posted.notes.size(), 2U);
  EXPECT_EQ(since.back(), *parse_time("2026-11-30T06:00:10Z"));
}

TEST_F(ReportMail, WhatFailsIsTroubleAndTriedAgain) {
  const auto reports = mailer();
  posted.fails = true;
  look(*reports, "2026-11-30T06:00:10Z");
  ASSERT_EQ(troubles.all().size(), 1U);
  EXPECT_EQ(troubles.all()[0].what, "[report] no MTA");
  posted.fails = false;
  look(*reports, "2026-11-30T06:00:40Z");
  EXPECT_TRUE(posted.notes.empty());
  look(*reports, "2026-11-30T06:05:10Z");
  EXPECT_EQ(posted.notes.size(), 1U);
  EXPECT_EQ(since.back(), *parse_time("2026-11-29T12:00:00Z"));
  EXPECT_TRUE(troubles.all().empty());
}

TEST_F(ReportMail, AMarkThatCannotBeWrittenIsTroubleAndTriedAgain) {
  const auto reports = mailer();
  std::filesystem::create_directory(folder.path() / "until");
  look(*reports, "2026-11-30T06:00:10Z");
  EXPECT_EQ(posted.notes.size(), 1U);
  EXPECT_EQ(troubles.all().size(), 1U);
  std::filesystem::remove(folder.path() / "until");
  look(*reports, "2026-11-30T06:00:40Z");
  EXPECT_TRUE(troubles.all().empty());
  EXPECT_EQ(posted.notes.size(), 1U);
  look(*mailer(), "2026-11-30T06:01:00Z");
  EXPECT_EQ(posted.notes.size(), 1U);
}

TEST_F(ReportMail, AMarkOfTheFutureIsNow) {
  folder.write("until", "2036-01-01T00:00:00Z\n");
  const auto reports = mailer();
  look(*reports, "2026-11-30T06:00:10Z");
  EXPECT_EQ(posted.notes.size(), 1U);
}

TEST_F(ReportMail, AStopEndsAReadingUnderWay) {
  std::unique_ptr<ReportMailer> reports;
  const auto write = [&](Instant, const std::function<void()>& go_on) -> tl::expected<std::string, std::string> {
    reports->stop();
    go_on();
    return "it was read to its end";
  };
  reports = std::make_unique<ReportMailer>(ReportSettings{.to = {"p@here.example"}}, "", write,
                                           std::make_unique<Post>(posted), clock, troubles);
  look(*reports, "2026-11-30T06:00:10Z");
  EXPECT_TRUE(posted.notes.empty());
  EXPECT_TRUE(troubles.all().empty());
}

}  // namespace
}  // namespace replygate
