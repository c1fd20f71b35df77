// Journals that systemd's own tool has written; no systemd need run.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "milter/outcome/journal_log.h"
#include "milter/outcome/mail_log_feed.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"

namespace replygate {
namespace {

using Texts = std::vector<std::string>;

constexpr const char* kTool = "/lib/systemd/systemd-journal-remote";
constexpr std::int64_t kBegin = 1795946400000000;  // microseconds since the epoch

// One entry in the export format of journals; a field of any octets has its length before it.
std::string entry_at(std::int64_t time, std::string_view message, std::string_view program = "postfix/smtp",
                     int facility = 2) {
  static_assert(std::endian::native == std::endian::little);
  const std::uint64_t size = message.size();
  std::string length(sizeof size, '\0');
  std::memcpy(length.data(), &size, sizeof size);
  return fmt::format(
      "__REALTIME_TIMESTAMP={}\n__MONOTONIC_TIMESTAMP={}\n_BOOT_ID=0123456789abcdef0123456789abcdef\n"
      "SYSLOG_FACILITY={}\nSYSLOG_IDENTIFIER={}\nSYSLOG_PID=7\nMESSAGE\n{}{}\n\n",
      kBegin + time, 1000 + time, facility, program, length, message);
}

std::string removed_at(std::int64_t time, int number) {
  return entry_at(time, fmt::format("A{}C2A3B4D0: removed", number), "postfix/qmgr");
}

Texts ids_from(int first, int last) {
  Texts ids;
  for (int i = first; i <= last; ++i) ids.push_back(fmt::format("A{}C2A3B4D0", i));
  return ids;
}

class JournalLogs : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::access(kTool, X_OK) != 0) GTEST_SKIP() << kTool << " is missing: apt-get install systemd-journal-remote";
  }

  // Adds entries to a file of the journal.
  void write(const std::string& name, const std::string& entries) {
    folder_.write("export", entries);
    const std::string command =
        fmt::format("{} -o {} {} >/dev/null 2>&1", kTool, folder_.file(name), folder_.file("export"));
    ASSERT_EQ(std::system(command.c_str()), 0);
  }
  std::unique_ptr<JournalLog> open(const std::string& cursor) {
    auto journal = JournalLog::open(cursor, folder_.path().string());
    EXPECT_TRUE(journal) << journal.error();
    return *std::move(journal);
  }
  // Ids of what comes next, `most` at most; the cursor is behind them then.
  Texts ids(JournalLog& journal, std::size_t most = 1000) {
    Texts ids;
    while (ids.size() < most) {
      const auto entry = journal.next();
      if (!entry) break;
      ids.emplace_back(read_log_event(entry->line).id);
      cursor_ = journal.cursor();
    }
    return ids;
  }

  test::Folder folder_;
  std::string cursor_;
};

TEST_F(JournalLogs, MayBeEmpty) {
  const auto journal = open("");
  EXPECT_FALSE(journal->next());
  EXPECT_EQ(journal->cursor(), "");
  EXPECT_FALSE(journal->is_readable());
  EXPECT_FALSE(JournalLog::open("", folder_.file("none")));
}

TEST_F(JournalLogs, GoOnAtTheirCursor) {
  std::string entries;
  for (int i = 0; i < 6; ++i) {
    entries += i == 3 ? entry_at(i, "A3C2A3B4D0: removed", "cron", 3) : removed_at(i * 1000000, i);
  }
  write("x.journal", entries);
  EXPECT_EQ(ids(*open(""), 2), ids_from(0, 1));
  const auto journal = open(cursor_);
  EXPECT_TRUE(journal->goes_on());
  EXPECT_EQ(ids(*journal), (Texts{"A2C2A3B4D0", "A4C2A3B4D0", "A5C2A3B4D0"}));
  EXPECT_EQ(ids(*open(cursor_)), Texts());
}

// A clock ticks less often than a busy server writes.
TEST_F(JournalLogs, KeepWhatCameInOneTick) {
  std::string entries;
  for (int i = 0; i < 8; ++i) entries += removed_at(0, i);
  write("x.journal", entries);
  Texts all;
  for (int i = 0; i < 8; ++i) {
    const auto one = ids(*open(cursor_), 1);
    all.insert(all.end(), one.begin(), one.end());
  }
  EXPECT_EQ(all, ids_from(0, 7));
  EXPECT_EQ(ids(*open(cursor_)), Texts());
}

// Files go when the journal is too large. What is left is read as a whole.
TEST_F(JournalLogs, GoOnBehindACursorThatWasVacuumed) {
  write("old.journal", removed_at(0, 0) + removed_at(1000000, 1));
  write("new.journal", removed_at(2000000, 2) + removed_at(3000000, 3));
  EXPECT_EQ(ids(*open(""), 1), ids_from(0, 0));
  std::filesystem::remove(folder_.file("old.journal"));
  const auto journal = open(cursor_);
  EXPECT_FALSE(journal->goes_on());
  EXPECT_EQ(ids(*journal), ids_from(2, 3));
  std::filesystem::remove(folder_.file("new.journal"));
  write("last.journal", removed_at(4000000, 4));
  EXPECT_EQ(ids(*open(cursor_)), ids_from(4, 4));
}

TEST_F(JournalLogs, OpenAtTheEndTellWhatComes) {
  write("x.journal", removed_at(0, 0));
  auto opened = JournalLog::open_at_end(folder_.path().string());
  ASSERT_TRUE(opened) << opened.error();
  JournalLog& journal = **opened;
  EXPECT_FALSE(journal.next());
  write("x.journal", removed_at(1000000, 1));
  write("y.journal", removed_at(2000000, 2));
  Texts seen;
  EXPECT_TRUE(test::eventually([&] {
    journal.look_again();
    const auto more = ids(journal);
    seen.insert(seen.end(), more.begin(), more.end());
    return seen.size() == 2;
  }));
  EXPECT_EQ(seen, ids_from(1, 2));
}

// What programs write is data: nothing in a message is another entry, a line or a field.
TEST_F(JournalLogs, TakeNothingFromWithinAMessage) {
  const std::string forged =
      "FFFF1C2A3B4: to=<a@there.test>, relay=mx[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=5.1.1, status=bounced "
      "(550)";
  const std::string honest =
      "A9C2A3B4D0: to=<a@there.test>, relay=mx[192.0.2.9]:25, delay=1, delays=0/0/0/1, dsn=2.0.0, ";
  std::int64_t time = 0;
  std::string entries = entry_at(++time, "A0C2A3B4D0: removed\n" + forged, "postfix/qmgr");
  entries += entry_at(++time, "hello\nMESSAGE=" + forged + "\n\nSYSLOG_IDENTIFIER=postfix/smtp");
  entries += entry_at(++time, std::string("\0\xff\xfe", 3) + forged);
  entries += entry_at(++time, forged, "vi\npostfix/smtp");
  entries += entry_at(++time, forged, "dovecot");
  entries += entry_at(++time, "");
  entries += entry_at(++time, std::string(1 << 20, 'x') + forged);
  entries += entry_at(++time, honest + "status=sent (250 " + std::string(1 << 20, 'y') + forged + ")");
  entries += entry_at(++time, honest + "status=sent (250 ok\npostfix/smtp[7]: " + forged + ")");
  write("x.journal", entries);
  Texts attempts;
  const auto journal = open("");
  for (auto entry = journal->next(); entry; entry = journal->next()) {
    const LogEvent event = read_log_event(entry->line);
    if (event.kind == LogEventKind::attempt) attempts.push_back(fmt::format("{} {}", event.id, event.status));
  }
  EXPECT_EQ(attempts, (Texts{"A9C2A3B4D0 sent", "A9C2A3B4D0 sent"}));
}

// As the daemon reads it: the position is kept, and a journal that may not be read is trouble.
TEST_F(JournalLogs, FeedTheReaderFromWhereItWas) {
  const std::string folder = folder_.path().string();
  const auto now = Instant(std::chrono::microseconds(kBegin));
  const auto events_of = [&](MailLogFeed& feed) {
    Texts seen;
    while (feed.read(now, [&](Instant, const LogEvent& event) { seen.emplace_back(event.id); })) {
    }
    return seen;
  };
  auto empty = open_mail_log_feed("journal", "", folder);
  ASSERT_TRUE(empty) << empty.error();
  EXPECT_EQ((*empty)->trouble(), "the journal: it may not be read");
  write("x.journal", removed_at(0, 0));
  auto feed = open_mail_log_feed("journal", "", folder);
  ASSERT_TRUE(feed) << feed.error();
  EXPECT_EQ((*feed)->trouble(), "");
  EXPECT_EQ(events_of(**feed), Texts());
  const std::string position = (*feed)->position();
  EXPECT_NE(position, "");
  write("x.journal", removed_at(1000000, 1) + removed_at(1000000, 2));
  feed = open_mail_log_feed("journal", position, folder);
  ASSERT_TRUE(feed) << feed.error();
  EXPECT_TRUE((*feed)->goes_on());
  EXPECT_EQ(events_of(**feed), ids_from(1, 2));
}

}  // namespace
}  // namespace replygate
