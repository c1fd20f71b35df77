#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <future>

#include "milter/log/history.h"
#include "milter/log/journal.h"
#include "milter/log/writer.h"
#include "policy/decide/record_summary.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"
#include "tests/support/world.h"

namespace replygate {
namespace {

using test::Folder;

std::string content(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// What it hears, it keeps as journal entries and summaries.
class Listener final : public RecordSink {
 public:
  void write(Record record) override {
    Rendering rendering(record);
    entries.push_back(Journal::entry(rendering, nullptr));
    for (const JudgedRecipient& judged : record.recipients) {
      entries.push_back(Journal::entry(rendering, &judged));
      summaries.push_back(summary(record, &judged));
    }
    if (history != nullptr) history->hear(rendering);
  }

  std::vector<std::string> entries;
  std::vector<std::string> summaries;
  History* history = nullptr;
};

constexpr std::string_view kPolicy =
    "[[rule]]\nname = \"no-bob\"\nwhen = { recipient = \"bob@example.org\" }\nreply = 550\n";

void send(test::World& world, RecordSink& sink, const std::string& from, const std::string& to,
          const std::string& queue_id = "") {
  Session session(world.policy, {world.gate, sink, world.references}, {});
  const auto ignore = [](const Answer&) {};
  session.connect({.ip = IpAddress::parse("192.0.2.1"), .name = "client.example.net"}, world.now, ignore);
  MailEvent mail;
  mail.sender = fmt::format("<{}>", from);
  mail.queue_id = queue_id;
  session.mail(std::move(mail), world.now, ignore);
  session.rcpt({.recipient = fmt::format("<{}>", to)}, world.now, ignore);
  session.end_of_message(world.now, ignore);
}

TEST(Backlog, WhoeverIsSlowCostsEntriesAndNoTime) {
  std::promise<void> go;
  std::shared_future<void> may_go = go.get_future().share();
  std::atomic<std::size_t> delivered = 0;
  Backlog backlog("slow", [&](const Backlog::Entries& entries) {
    may_go.wait();
    delivered += entries.size();
    return true;
  });
  constexpr std::size_t kEntries = 40;
  for (std::size_t i = 0; i < kEntries; ++i) backlog.add(std::string(std::size_t{1} << 20, 'x'));
  EXPECT_GT(backlog.dropped(), 0);
  go.set_value();
  backlog.close();
  EXPECT_EQ(delivered + static_cast<std::size_t>(backlog.dropped()), kEntries);
}

TEST(Backlog, WhatCouldNotBeDeliveredIsCounted) {
  Backlog backlog("broken", [](const Backlog::Entries&) { return false; });
  backlog.add("a");
  backlog.add("b");
  backlog.close();
  EXPECT_EQ(backlog.dropped(), 2);
}

TEST(Writer, AFileThatWasRotatedAwayIsOpenedAnew) {
  const Folder folder;
  const std::string path = folder.file("log");
  auto writer = Writer::to_file(path).value();
  writer->write("one\n");
  EXPECT_TRUE(test::eventually([&] { return !content(path).empty(); }));
  std::filesystem::rename(path, path + ".1");
  EXPECT_TRUE(test::eventually([&] {
    writer->write("more\n");
    return std::filesystem::exists(path);
  }));
  writer->close();
  EXPECT_TRUE(content(path + ".1").starts_with("one\n"));
  EXPECT_TRUE(content(path).starts_with("more\n"));
}

TEST(Summary, IsOnePlainLineWhateverComes) {
  test::World world(kPolicy);
  Listener listener;
  send(world, listener, "a\n\x01%s\" to=<forged@x>@b.example", "bob@example.org");
  const std::string line = listener.summaries.at(0);
  EXPECT_NE(line.find("refused: rcpt from client.example.net[192.0.2.1]: 550 5.7.1 \""), std::string::npos) << line;
  EXPECT_NE(line.find("rule=no-bob class=refused-by-policy bounce=hard"), std::string::npos) << line;
  EXPECT_TRUE(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; })) << line;
  EXPECT_EQ(line.find("to=<forged"), std::string::npos) << line;
}

TEST(Summary, WhatPassesIsNamedShortly) {
  test::World world(kPolicy);
  Listener listener;
  send(world, listener, "a@b.example", "carol@example.org", "4ABC");
  EXPECT_TRUE(listener.summaries.at(0).ends_with(
      ": accepted: from client.example.net[192.0.2.1]; from=<a@b.example> to=<carol@example.org> queue_id=4ABC"))
      << listener.summaries.at(0);
}

TEST(Journal, FieldsCannotBeForged) {
  test::World world(kPolicy);
  Listener listener;
  send(world, listener, "a\nREPLYGATE_RULE=forged@b.example", "bob@example.org", "4ABC");
  const std::string& entry = listener.entries.at(1);
  EXPECT_NE(entry.find("\nREPLYGATE_RULE=no-bob\n"), std::string::npos) << entry;
  EXPECT_NE(entry.find("\nREPLYGATE_QUEUE_ID=4ABC\n"), std::string::npos);
  EXPECT_NE(entry.find("\nPRIORITY=5\n"), std::string::npos);
  EXPECT_NE(entry.find("\nREPLYGATE_RECORD={"), std::string::npos);
  EXPECT_EQ(entry.find("\nREPLYGATE_RULE=forged"), std::string::npos);
}

class HistoryTest : public ::testing::Test {
 protected:
  void open(const HistorySettings& settings) {
    history_ = History::open(folder_.file("history"), settings, troubles_).value();
    listener_.history = history_.get();
  }
  std::size_t known(std::string_view word) const { return history_->find(word, 1000).size(); }

  Folder folder_;
  test::World world_{kPolicy};
  Listener listener_;
  Troubles troubles_;
  std::unique_ptr<History> history_;
};

TEST_F(HistoryTest, FindsByEverythingThatPeopleHaveInHand) {
  open({});
  send(world_, listener_, "alice@b.example", "bob@example.org", "4ABC");
  send(world_, listener_, "carol@b.example", "dave@example.org", "4DEF");
  history_->close();
  for (const std::string_view word : {"alice@b.example", "ALICE@B.example", "bob@example.org", "4ABC"}) {
    ASSERT_EQ(known(word), 1U) << word;
  }
  EXPECT_EQ(known("192.0.2.1"), 2U);
  EXPECT_EQ(known("nobody@b.example"), 0U);
  const auto record = boost::json::parse(history_->find("4ABC", 1).at(0));
  const std::string ref(record.at("ref").as_string());
  EXPECT_EQ(known(ref), 1U);
  EXPECT_EQ(known(std::string(record.at("session").as_string())), 1U);
  EXPECT_EQ(history_->find("192.0.2.1", 1).at(0).find("alice"), std::string::npos);  // the newest first
}

TEST_F(HistoryTest, OutlivesARestart) {
  open({});
  send(world_, listener_, "alice@b.example", "bob@example.org");
  history_.reset();
  open({});
  send(world_, listener_, "alice@b.example", "bob@example.org");
  history_->close();
  EXPECT_EQ(known("alice@b.example"), 2U);
}

TEST_F(HistoryTest, IsBounded) {
  open({.records = 3000});
  for (int i = 0; i < 100; ++i) {
    for (int k = 0; k < 100; ++k) send(world_, listener_, fmt::format("a{}@b.example", i), "x@example.org");
    history_.reset();  // all is written
    open({.records = 3000});
  }
  history_->close();
  EXPECT_EQ(known("a99@b.example"), 100U);
  EXPECT_EQ(known("a0@b.example"), 0U);
  const std::size_t all = history_->find("192.0.2.1", 100'000).size();
  EXPECT_GE(all, 3000U);
  EXPECT_LE(all, 4100U);
}

TEST_F(HistoryTest, ADamagedFileIsKeptAndANewOneBegun) {
  open({});
  send(world_, listener_, "alice@b.example", "bob@example.org");
  history_.reset();
  const std::string file = folder_.file("history/00000001.db");
  for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(file + suffix);
  std::ofstream(file) << std::string(8192, 'x');
  open({});
  send(world_, listener_, "carol@b.example", "bob@example.org");
  history_->close();
  EXPECT_EQ(known("carol@b.example"), 1U);
  EXPECT_TRUE(std::filesystem::exists(file + ".damaged"));
}

}  // namespace
}  // namespace replygate
