#include <archive.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <filesystem>

#include "milter/outcome/log_clock.h"
#include "milter/outcome/mail_logs.h"
#include "policy/scenario/scenario.h"
#include "tests/support/compress.h"
#include "tests/support/folder.h"
#include "tests/support/local_zone.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

TEST(LogClocks, ANewYearBeginsInTheEast) {
  const test::LocalZone zone("Asia/Tokyo");
  LogClock clock(*parse_time("2026-12-31T15:30:00Z"));
  EXPECT_EQ(clock.read("Jan  1 00:30:00 mx x"), *parse_time("2026-12-31T15:30:00Z"));
  EXPECT_EQ(clock.read("Dec 31 23:59:00 mx x"), *parse_time("2026-12-31T14:59:00Z"));
  EXPECT_EQ(clock.read("Jan  1 12:00:00 mx x"), *parse_time("2027-01-01T03:00:00Z"));
}

TEST(LogClocks, FindTheYear) {
  const test::LocalZone zone("Europe/Berlin");
  LogClock clock(*parse_time("2026-02-10T12:00:00Z"));
  EXPECT_EQ(clock.read("Dec 31 23:30:00 mx x"), *parse_time("2025-12-31T22:30:00Z"));
  EXPECT_EQ(clock.read("Feb  1 00:00:01 mx x"), *parse_time("2026-01-31T23:00:01Z"));
  EXPECT_EQ(clock.read("no time"), *parse_time("2026-01-31T23:00:01Z"));
  EXPECT_EQ(clock.read("2026-01-02T03:04:05.5+02:00 mx x"), *parse_time("2026-01-02T01:04:05.5Z"));
  EXPECT_EQ(clock.read("2026-07-02 03:04:05 1abcDE-000001-AB x"), *parse_time("2026-07-02T01:04:05Z"));
}

TEST(LogClocks, AnHourThatComesTwiceGoesOn) {
  const test::LocalZone zone("Europe/Berlin");
  LogClock clock(*parse_time("2026-11-30T12:00:00Z"));
  EXPECT_EQ(clock.read("Oct 25 02:59:59 mx x"), *parse_time("2026-10-25T00:59:59Z"));
  EXPECT_EQ(clock.read("Oct 25 02:59:58 mx x"), *parse_time("2026-10-25T00:59:58Z"));
  EXPECT_EQ(clock.read("Oct 25 02:00:01 mx x"), *parse_time("2026-10-25T01:00:01Z"));
  EXPECT_EQ(clock.read("Oct 25 02:30:00 mx x"), *parse_time("2026-10-25T01:30:00Z"));
  EXPECT_EQ(clock.read("Oct 25 03:30:02 mx x"), *parse_time("2026-10-25T02:30:02Z"));
  EXPECT_EQ(clock.read("Sun 2026-10-25 02:30:00 CEST mx x"), *parse_time("2026-10-25T00:30:00Z"));
  EXPECT_EQ(clock.read("Sun 2026-10-25 02:30:00 CET mx x"), *parse_time("2026-10-25T01:30:00Z"));
  EXPECT_EQ(clock.read("Mar 29 03:30:00 mx x"), *parse_time("2026-03-29T01:30:00Z"));
}

TEST(LogClocks, ALeapDayIsOfTheLastLeapYear) {
  LogClock clock(*parse_time("2026-11-30T12:00:00Z"));
  EXPECT_EQ(clock.read("Feb 29 12:00:00 mx x"), *parse_time("2024-02-29T12:00:00Z"));
  EXPECT_EQ(clock.read("Mar  1 12:00:00 mx x"), *parse_time("2026-03-01T12:00:00Z"));
}

struct Counted final : MailTrail::Listener {
  void mail(const LoggedMail& mail) override {
    ids.push_back(mail.id);
    times.push_back(mail.time);
  }
  void attempt(Instant, const LoggedMail*, const LogEvent&, std::string_view, bool) override { ++attempts; }
  void refusal(Instant, const LogEvent&) override {}
  void expired(Instant, const LoggedMail*, std::string_view) override {}
  std::vector<std::string> ids;
  std::vector<Instant> times;
  int attempts = 0;
};

std::string mail_at(std::string_view time, std::string_view id) {
  std::string text;
  for (const std::string& rest :
       {fmt::format("smtpd[1]: {}: client=c.example[192.0.2.1]", id),
        fmt::format("qmgr[1]: {}: from=<a@b.example>, size=10, nrcpt=1 (queue active)", id),
        fmt::format("smtp[1]: {}: to=<c@d.example>, relay=none, delay=1, delays=0/0/1/0, dsn=2.0.0, status=sent (ok)",
                    id),
        fmt::format("qmgr[1]: {}: removed", id)}) {
    text += fmt::format("{} mx postfix/{}\n", time, rest);
  }
  return text;
}

TEST(MailLogs, RotatedOnesAreReadInTheirOrder) {
  const test::Folder folder;
  folder.write("mail.log", mail_at("2026-11-03T00:00:00Z", "A3A3A3A3A3"));
  folder.write("mail.log.1", mail_at("2026-11-02T00:00:00Z", "A2A2A2A2A2"));
  test::compress(folder.file("mail.log.2.gz"), mail_at("2026-11-01T00:00:00Z", "A1A1A1A1A1"),
                 archive_write_add_filter_gzip);
  Counted counted;
  LogProgress last;
  const auto figures =
      read_mail_logs({folder.file("mail.log"), folder.file("mail.log.1"), folder.file("mail.log.2.gz")}, counted,
                     [&](const LogProgress& progress) { last = progress; });
  ASSERT_TRUE(figures) << figures.error();
  EXPECT_EQ(counted.ids, (std::vector<std::string>{"A1A1A1A1A1", "A2A2A2A2A2", "A3A3A3A3A3"}));
  EXPECT_EQ(figures->trail.orphans, 0);
  EXPECT_EQ(figures->lines, 12);
  EXPECT_EQ(last.octets, last.of_octets);
}

Instant minute(int n) { return *parse_time("2026-11-03T10:00:00Z") + std::chrono::minutes(n); }

std::string minute_text(int n) { return fmt::format("2026-11-03T{:02}:{:02}:00Z", 10 + n / 60, n % 60); }

TEST(MailLogs, OfTheSameTimeAreReadSideBySide) {
  const test::Folder folder;
  std::array<std::string, 3> hosts;
  std::vector<std::string> expected;
  for (int i = 0; i < 300; ++i) {
    expected.push_back(fmt::format("A{:05}", i));
    hosts[static_cast<std::size_t>(i % 3)] += mail_at(minute_text(i), expected.back());
  }
  folder.write("a", hosts[0]);
  folder.write("b", hosts[1]);
  test::compress(folder.file("c.gz"), hosts[2], archive_write_add_filter_gzip);
  Counted counted;
  const auto figures = read_mail_logs({folder.file("c.gz"), folder.file("b"), folder.file("a")}, counted, {});
  ASSERT_TRUE(figures) << figures.error();
  EXPECT_EQ(counted.ids, expected);
  ASSERT_EQ(counted.times.size(), 300U);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(counted.times[static_cast<std::size_t>(i)], minute(i));
  EXPECT_TRUE(figures->troubles.empty());
}

TEST(MailLogs, LinesOfARotationThatCameLateStayBeforeTheNextFile) {
  const test::Folder folder;
  const std::string whole = mail_at("2026-11-03T10:00:01Z", "A1A1A1A1A1");
  const std::size_t half = whole.find("qmgr") - std::string_view("2026-11-03T10:00:01Z mx postfix/").size();
  folder.write("log.1", mail_at("2026-11-03T09:00:00Z", "A0A0A0A0A0") + whole.substr(0, half));
  std::string rest = whole.substr(half);
  rest.replace(rest.find(":01Z"), 4, ":00Z");  // of another process
  folder.write("log", rest);
  Counted counted;
  const auto figures = read_mail_logs({folder.file("log.1"), folder.file("log")}, counted, {});
  ASSERT_TRUE(figures) << figures.error();
  EXPECT_EQ(counted.ids, (std::vector<std::string>{"A0A0A0A0A0", "A1A1A1A1A1"}));
}

TEST(MailLogs, AClockThatIsAstrayForSomeLinesDatesNothing) {
  const test::Folder folder;
  for (const int strays : {1, 3}) {
    for (const int place : {0, 5}) {
      for (const char* when : {"2036-12-30T10:00:05Z", "2026-11-04T12:00:00Z", "1970-01-01T00:00:07Z"}) {
        if (place == 0 && when[0] == '1') continue;  // the host's clock was set after its start
        std::string text;
        for (int i = 0; i < 20; ++i) {
          const bool astray = i >= place && i < place + strays;
          text += mail_at(astray ? std::string(when) : minute_text(i), fmt::format("A{:05}", i));
        }
        folder.write("log", text);
        Counted counted;
        const auto figures = read_mail_logs({folder.file("log")}, counted, {});
        ASSERT_TRUE(figures) << figures.error();
        ASSERT_EQ(counted.times.size(), 20U);
        for (int i = 0; i < 20; ++i) {
          const Instant time = counted.times[static_cast<std::size_t>(i)];
          EXPECT_LE(time, minute(i + strays)) << when << " " << place << " " << i;
          if (i >= place + strays) {
            EXPECT_EQ(time, minute(i)) << when << " " << place << " " << i;
          }
        }
        ASSERT_EQ(figures->troubles.size(), 1U);
        EXPECT_NE(figures->troubles[0].find(fmt::format("log: {} lines with a time", strays * 4)), std::string::npos)
            << figures->troubles[0];
      }
    }
  }
}

TEST(MailLogs, ANightWithoutMailIsNotAstray) {
  const test::Folder folder;
  folder.write("log", mail_at("2026-11-03T20:00:00Z", "A1A1A1A1A1") + mail_at("2026-11-04T07:00:00Z", "A2A2A2A2A2") +
                          mail_at("2026-11-04T06:59:59Z", "A3A3A3A3A3"));
  Counted counted;
  const auto figures = read_mail_logs({folder.file("log")}, counted, {});
  ASSERT_TRUE(figures) << figures.error();
  EXPECT_EQ(counted.times.back(), *parse_time("2026-11-04T07:00:00Z"));
  EXPECT_TRUE(figures->troubles.empty());
}

TEST(MailLogs, WhatHasNoTimeIsNotDated) {
  const test::Folder folder;
  folder.write("log", mail_at("[ 1234.567890]", "A1A1A1A1A1"));
  folder.write("other", mail_at("2026-11-03T10:00:00Z", "A2A2A2A2A2") + mail_at("[ 1234.567890]", "A3A3A3A3A3"));
  Counted counted;
  const auto figures = read_mail_logs({folder.file("log"), folder.file("other")}, counted, {});
  ASSERT_TRUE(figures) << figures.error();
  EXPECT_EQ(counted.ids, std::vector<std::string>{"A2A2A2A2A2"});
  EXPECT_EQ(figures->undated, 8);
  ASSERT_EQ(figures->troubles.size(), 2U);
  EXPECT_EQ(figures->troubles[0], folder.file("log") + ": no line of it begins with a time that can be read");
  EXPECT_EQ(figures->troubles[1], "8 lines of mail left out: no time that can be read");
}

TEST(MailLogs, MayBeginWithAByteOrderMark) {
  const test::Folder folder;
  folder.write("log", "\xEF\xBB\xBF" + mail_at("2026-11-03T10:00:00Z", "A1A1A1A1A1"));
  Counted counted;
  const auto figures = read_mail_logs({folder.file("log")}, counted, {});
  ASSERT_TRUE(figures) << figures.error();
  EXPECT_EQ(counted.times, std::vector<Instant>{minute(0)});
  EXPECT_TRUE(figures->troubles.empty());
}

// Of a compressor that was stopped; the same begin under another name is another host's.
TEST(MailLogs, AFileAndItsCompressedFormAreReadOnce) {
  const test::Folder folder;
  const std::string plain = folder.file("mail.log.2");
  const std::string text =
      mail_at("2026-11-03T10:00:00Z", "A1A1A1A1A1") + mail_at("2026-11-03T11:00:00Z", "A2A2A2A2A2");
  folder.write("mail.log.2", text);
  folder.write("other.2", mail_at("2026-11-03T10:00:00Z", "A3A3A3A3A3"));
  for (const std::string& made : {text, text.substr(0, text.size() / 2), std::string()}) {
    test::compress(plain + ".gz", made, archive_write_add_filter_gzip);
    Counted counted;
    const auto figures = read_mail_logs({plain + ".gz", folder.file("other.2"), plain}, counted, {});
    ASSERT_TRUE(figures) << figures.error();
    EXPECT_EQ(figures->lines, 12);
    EXPECT_EQ(counted.ids.size(), 3U);
    EXPECT_TRUE(figures->troubles.empty());
  }
  // An older rotation of that name.
  test::compress(plain + ".gz", mail_at("2026-11-01T10:00:00Z", "A4A4A4A4A4"), archive_write_add_filter_gzip);
  Counted counted;
  ASSERT_TRUE(read_mail_logs({plain + ".gz", plain}, counted, {}));
  EXPECT_EQ(counted.ids, (std::vector<std::string>{"A4A4A4A4A4", "A1A1A1A1A1", "A2A2A2A2A2"}));
}

TEST(MailLogs, OneThatEndsEarlySpoilsNoOther) {
  const test::Folder folder;
  const std::string text = mail_at("2026-11-03T10:00:00Z", "A1A1A1A1A1");
  folder.write("log", mail_at("2026-11-03T12:00:00Z", "A2A2A2A2A2"));
  const std::vector<std::pair<const char*, int (*)(archive*)>> filters = {{"gz", archive_write_add_filter_gzip},
                                                                          {"xz", archive_write_add_filter_xz},
                                                                          {"zst", archive_write_add_filter_zstd},
                                                                          {"bz2", archive_write_add_filter_bzip2}};
  for (const auto& [end, filter] : filters) {
    const std::string cut = folder.file(std::string("cut.") + end);
    test::compress(cut, text, filter);
    fs::resize_file(cut, fs::file_size(cut) / 2);
    Counted counted;
    const auto figures = read_mail_logs({cut, folder.file("log")}, counted, {});
    ASSERT_TRUE(figures) << figures.error();
    EXPECT_EQ(counted.ids, std::vector<std::string>{"A2A2A2A2A2"}) << end;
    EXPECT_EQ(figures->troubles, std::vector<std::string>{cut + ": it ends early; what stands behind is left out"});
  }
}

}  // namespace
}  // namespace replygate
