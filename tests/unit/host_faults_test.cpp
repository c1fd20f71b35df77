// What a host does to a daemon: files that cannot be looked at, read or written, disks that hang, sockets of others.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <future>

#include "milter/files.h"
#include "milter/guarded.h"
#include "milter/last_good.h"
#include "milter/log/history.h"
#include "milter/log/journal.h"
#include "milter/log/syslog.h"
#include "milter/log/writer.h"
#include "milter/lookup/list_watch.h"
#include "milter/net/local_peer.h"
#include "milter/serve/raises.h"
#include "milter/store/sqlite_store.h"
#include "tests/support/eventually.h"
#include "tests/support/faulty_vfs.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"
#include "tests/support/ordinary.h"
#include "tests/support/wire.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class HostFaults : public ::testing::Test, protected Folder {
 protected:
  void open(StoreSettings::Durability durability = StoreSettings::Durability::window) {
    auto opened = SqliteStore::open({.path = file("state.db"), .durability = durability}, clock_, health_);
    ASSERT_TRUE(opened) << opened.error();
    store_ = *std::move(opened);
  }
  // What was counted before; nothing where the store did not answer.
  std::optional<std::int64_t> count(const std::string& counter, std::int64_t cost = 1, bool reserve = false) {
    std::promise<Readings> told;
    const Charge charge{
        .counter = counter, .measure = Sliding{std::chrono::hours(1)}, .most = 100, .cost = cost, .reserve = reserve};
    store_->take({charge}, true, clock_.now(), [&](Readings r) { told.set_value(std::move(r)); });
    const Readings readings = soon(told);
    if (readings.readings.empty()) return std::nullopt;
    return readings.readings[0]->used;
  }

  HandClock clock_;
  StoreHealth health_;
  Troubles troubles_;
  std::unique_ptr<SqliteStore> store_;
};

TEST_F(HostFaults, AFolderThatMayNotBeEnteredIsNotGivenUp) {
  const Ordinary ordinary(*this);
  open();
  count("k", 3);
  ASSERT_EQ(::chmod(path().c_str(), 0), 0);
  count("k", 4);
  if (::geteuid() == kNobody) {
    EXPECT_TRUE(eventually([this] {
      return health_.state().trouble.find("cannot be looked at: Permission denied") != std::string::npos;
    }));
  }
  EXPECT_EQ(count("k", 0), 7);
  ASSERT_EQ(::chmod(path().c_str(), 0700), 0);
  EXPECT_TRUE(eventually([this] { return health_.good(); })) << health_.state().trouble;
  EXPECT_FALSE(health_.state().failures.contains(file("state.db") + ": somebody has removed or changed it"));
  store_.reset();
  clock_.restart();
  open();
  EXPECT_EQ(count("k", 0), 7);
}

// Whatever somebody does to the files while they are open: what was counted is written anew.
TEST_F(HostFaults, FilesThatSomebodyCutsOrRemovesAreWrittenAnew) {
  const std::vector<std::function<void()>> ways = {
      [this] { std::filesystem::resize_file(file("state.db"), 100); },
      [this] { std::filesystem::remove(file("state.db-wal")); },
      [this] { std::filesystem::remove(file("state.db")); },
      [this] { std::filesystem::remove(file("state.db.lock")); },
  };
  // What is counted is on disk when it is told, or the disk is known to be in trouble.
  open(StoreSettings::Durability::commit);
  std::int64_t counted = 0;
  for (const auto& spoil : ways) {
    count("k", 2);
    counted += 2;
    testing::internal::CaptureStderr();
    spoil();
    count("other");
    EXPECT_TRUE(eventually([this] { return health_.good(); }));
    store_.reset();
    clock_.restart();
    open(StoreSettings::Durability::commit);
    testing::internal::GetCapturedStderr();
    EXPECT_EQ(count("k", 0), counted);
  }
}

TEST_F(HostFaults, NobodyElseOpensWhatIsOpenThoughTheLockIsGone) {
  open();
  std::filesystem::remove(file("state.db.lock"));
  ASSERT_TRUE(eventually([this] { return std::filesystem::exists(file("state.db.lock")); }));
  EXPECT_FALSE(SqliteStore::open({.path = file("state.db")}, clock_, health_));
}

TEST_F(HostFaults, WithCommitADiskThatHangsKeepsNobodyWaiting) {
  FaultyVfs disk;
  open(StoreSettings::Durability::commit);
  EXPECT_EQ(count("k", 2), 0);
  disk.hang(true);
  EXPECT_EQ(count("k", 5), std::nullopt);  // on_store_error decides
  EXPECT_NE(health_.state().trouble.find("the disk does not answer"), std::string::npos) << health_.state().trouble;
  EXPECT_EQ(count("k", 1), 7);  // known to be in trouble: from memory, at once
  EXPECT_TRUE(eventually([this] { return health_.state().lasting >= seconds(1); }));
  disk.hang(false);
  EXPECT_TRUE(eventually([this] { return health_.good(); }));
  EXPECT_EQ(count("k", 0), 8);
  store_.reset();
}

TEST_F(HostFaults, WhatIsReservedForAnAnswerThatCameTooLateIsGivenBack) {
  FaultyVfs disk;
  open(StoreSettings::Durability::commit);
  disk.hang(true);
  std::promise<Readings> told;
  const auto one = [](std::string counter, bool reserve) {
    return Charge{.counter = std::move(counter),
                  .measure = Sliding{std::chrono::hours(1)},
                  .most = 100,
                  .cost = 3,
                  .reserve = reserve};
  };
  store_->take({one("kept", false), one("held", true)}, true, clock_.now(),
               [&](Readings r) { told.set_value(std::move(r)); });
  EXPECT_TRUE(soon(told).readings.empty());
  EXPECT_EQ(count("held", 0), 0);
  disk.hang(false);
  store_.reset();
}

TEST_F(HostFaults, WithWindowADiskThatHangsIsSaid) {
  FaultyVfs disk;
  open();
  disk.hang(true);
  count("k");
  EXPECT_TRUE(eventually([this] { return !health_.good(); }));
  disk.hang(false);
  EXPECT_TRUE(eventually([this] { return health_.good(); }));
  store_.reset();
}

// Whatever call of SQLite fails, with whatever error: decisions go on, and once the disk is well nothing is lost.
TEST_F(HostFaults, EachCallOfTheDiskMayFail) {
  constexpr std::array kErrors = {SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM};
  FaultyVfs disk;
  open();
  std::int64_t counted = 0;
  for (std::int64_t call = 1; call <= 40; ++call) {
    for (const int error : kErrors) {
      disk.fail(error, call, 3);
      ASSERT_EQ(count("k", 1), counted % 90);
      counted += 1;
      if (counted % 90 == 0) break;
    }
    if (counted >= 80) break;
    std::this_thread::sleep_for(milliseconds(20));
  }
  disk.mend();
  count("other");
  EXPECT_TRUE(eventually([this] { return health_.good(); })) << health_.state().trouble;
  const std::int64_t before = *count("k", 0);
  EXPECT_EQ(before, counted);
  store_.reset();
  clock_.restart();
  open();
  EXPECT_EQ(count("k", 0), before);
  store_.reset();
}

TEST_F(HostFaults, AGlobOverAFolderThatCannotBeReadIsAnError) {
  const Ordinary ordinary(*this);
  std::filesystem::create_directory(path() / "lists");
  write("lists/a.list", "x\n");
  std::string why;
  const DataSource source{DataSource::Kind::glob, file("lists") + "/*.list", ""};
  EXPECT_EQ(read_source(source, why), file("lists") + "/a.list\n");
  ASSERT_EQ(::chmod(file("lists").c_str(), 0), 0);
  EXPECT_FALSE(read_source(source, why));
  EXPECT_EQ(why, "Permission denied");
  EXPECT_EQ(look_for(file("lists/a.list")), Presence::unknown);
  EXPECT_EQ(look_for(file("nothing")), Presence::absent);
  ASSERT_EQ(::chmod(file("lists").c_str(), 0700), 0);
  EXPECT_EQ(read_source({DataSource::Kind::glob, file("none") + "/*", ""}, why), "");
}

TEST_F(HostFaults, WhatIsKeptCanBeReadAgainHoweverLarge) {
  PolicyTexts texts{{file("p.toml"), "version = 1\n[lists]\nl = { file = \"big\" }\n"}};
  std::string list;
  while (list.size() < std::size_t{37} << 20U) list += fmt::format("user{}@example.org\n", list.size());
  texts.emplace(DataSource{DataSource::Kind::file, file("big"), ""}.text(), std::move(list));
  ASSERT_TRUE(keep_last_good(path().string(), file("p.toml"), texts));
  EXPECT_GT(std::filesystem::file_size(file("last-good-policy.json")), std::size_t{64} << 20U);
  EXPECT_TRUE(load_last_good(path().string(), file("p.toml")));
}

TEST_F(HostFaults, WhatOutlivesADaemonStandsBesideItsCounters) {
  const StoreSettings elsewhere{.path = "/srv/mail/state.db"};
  EXPECT_EQ(folder_beside(elsewhere, "/else"), "/srv/mail");
  EXPECT_EQ(folder_beside(StoreSettings(), "/else"), "/else");
  EXPECT_EQ(folder_beside({.backend = StoreSettings::Backend::memory, .path = "/srv/mail/state.db"}, "/else"), "/else");
  EXPECT_EQ(folder_beside("nonsense [\n[store]\npath = \"/srv/mail/state.db\"\n[[rule", "/else"), "/srv/mail");
  EXPECT_EQ(folder_beside("[store]\nbackend = 'sqlite'\n  path='/srv/x.db' # here\n", "/else"), "/srv");
  EXPECT_EQ(folder_beside("[history]\npath = \"/srv/mail/h\"\n", "/else"), "/else");
  EXPECT_EQ(folder_beside("[store]\npath = \"unfinished\n", "/else"), "/else");
}

TEST_F(HostFaults, RaisesThatCannotBeReadAreAnErrorAndNoEnd) {
  const Ordinary ordinary(*this);
  EXPECT_TRUE(read_raises(path().string(), clock_.now())->empty());
  ASSERT_EQ(::chmod(path().c_str(), 0), 0);
  const auto raises = read_raises(path().string(), clock_.now());
  ASSERT_EQ(::chmod(path().c_str(), 0700), 0);
  ASSERT_FALSE(raises);
  EXPECT_EQ(raises.error(), file("raises.json") + ": Permission denied; no limit is raised");
}

// A list that is replaced while a long load is under way.
TEST_F(HostFaults, AListThatChangesWhileAnotherIsReadIsReadAgain) {
  write("p.toml",
        "version = 1\n[lists]\na = { file = \"a\" }\nz = { file = \"z\" }\n[[rule]]\nname = \"r\"\nwhen = { sender = "
        "[\"$a\", \"$z\"] }\nreply = 554\n");
  std::string large;
  for (int i = 0; i < 200'000; ++i) large += fmt::format("{}@bad.example\n", i);
  write("a", "a@bad.example\n");
  write("z", large);
  ListWatch watch(file("p.toml"));
  std::thread somebody([this] {
    std::this_thread::sleep_for(milliseconds(30));
    write("a", "b@bad.example\n");
  });
  const Loaded loaded = watch.load();
  somebody.join();
  ASSERT_TRUE(loaded.ok());
  watch.look();
  EXPECT_EQ(watch.texts().at(DataSource{DataSource::Kind::file, file("a"), ""}.text()), "b@bad.example\n");
}

// One that cannot be read for a while, and is never touched again.
TEST_F(HostFaults, AListThatCouldNotBeReadIsReadOnceItCan) {
  write(
      "p.toml",
      "version = 1\n[lists]\na = { file = \"a\" }\n[[rule]]\nname = \"r\"\nwhen = { sender = \"$a\" }\nreply = 554\n");
  write("a", "a@bad.example\n");
  ListWatch watch(file("p.toml"));
  ASSERT_TRUE(watch.load().ok());
  // A sanitizer needs descriptors of its own where it sees a type at first.
  std::string why;
  EXPECT_EQ(read_file(file("none"), why), std::nullopt);
  write("a", "c@bad.example\n");
  EXPECT_NE(watch.look(), nullptr);
  write("a", "b@bad.example\n");
  rlimit all{};
  ::getrlimit(RLIMIT_NOFILE, &all);
  const rlimit none{3, all.rlim_max};  // no descriptor is left for it
  testing::internal::CaptureStderr();
  ::setrlimit(RLIMIT_NOFILE, &none);
  EXPECT_EQ(watch.look(), nullptr);
  EXPECT_EQ(watch.look(), nullptr);
  ::setrlimit(RLIMIT_NOFILE, &all);
  testing::internal::GetCapturedStderr();
  EXPECT_NE(watch.look(), nullptr);
  EXPECT_EQ(watch.texts().begin()->second, "b@bad.example\n");
}

TEST_F(HostFaults, ALineOfTheLogIsThereAsAWholeOrNotAtAll) {
  const auto before = ::signal(SIGXFSZ, SIG_IGN);
  auto writer = Writer::to_file(file("log")).value();
  const std::string line = std::string(99, 'x') + "\n";
  writer->write(line);
  ASSERT_TRUE(eventually([this] { return text_of(file("log")).size() == 100; }));
  rlimit all{};
  ::getrlimit(RLIMIT_FSIZE, &all);
  const rlimit little{150, all.rlim_max};  // in the middle of the next line
  ::setrlimit(RLIMIT_FSIZE, &little);
  testing::internal::CaptureStderr();
  writer->write(line);
  EXPECT_TRUE(eventually([&] { return writer->dropped() > 0; }));
  testing::internal::GetCapturedStderr();
  ::setrlimit(RLIMIT_FSIZE, &all);
  writer->write("whole\n");
  EXPECT_TRUE(eventually([&] { return text_of(file("log")) == line + "whole\n"; })) << text_of(file("log"));
  writer.reset();
  ::signal(SIGXFSZ, before);
}

// A record that cannot be pressed, with a line of about so many octets.
std::string large_record(std::mt19937_64& random, std::size_t octets) {
  static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string line = R"({"sender":"bob","x":")";
  while (line.size() < octets) line += kLetters[random() % kLetters.size()];
  return line + "\"}\n";
}

void keep_bob(History& history, Instant time, std::string_view line) {
  constexpr std::string_view kWords[] = {"bob"};
  const std::int64_t before = history.written() + history.dropped();
  history.keep(time, kWords, line);
  ASSERT_TRUE(eventually([&] { return history.written() + history.dropped() > before; }));
}

TEST_F(HostFaults, TheHistoryIsBoundedInOctets) {
  std::mt19937_64 random(1);
  auto history = History::open(file("h"), {.octets = 16'000'000}, troubles_).value();
  const auto size = [&] {
    std::uintmax_t sum = 0;
    for (const auto& entry : std::filesystem::directory_iterator(file("h"))) sum += entry.file_size();
    return sum;
  };
  for (int i = 0; i < 20; ++i) keep_bob(*history, clock_.now(), large_record(random, 2'000'000));
  EXPECT_EQ(history->dropped(), 0);
  EXPECT_LT(size(), 20'000'000U);
  EXPECT_GT(size(), 8'000'000U);
}

// An error of looking is no damage: what was kept is found again.
TEST_F(HostFaults, AHistoryThatCannotBeOpenedForAWhileIsKept) {
  const std::string one = R"({"sender":"bob","n":1})";
  const std::string two = R"({"sender":"bob","n":2})";
  {
    const auto history = History::open(file("h"), {}, troubles_).value();
    keep_bob(*history, clock_.now(), one + '\n');
  }
  FaultyVfs disk;
  disk.fail(SQLITE_IOERR, 1, 3);
  const auto history = History::open(file("h"), {}, troubles_).value();
  testing::internal::CaptureStderr();
  keep_bob(*history, clock_.now(),
           R"({"sender":"bob","lost":true})"
           "\n");
  testing::internal::GetCapturedStderr();
  disk.mend();
  keep_bob(*history, clock_.now(), two + '\n');
  history->close();
  EXPECT_EQ(history->find("bob", 10), (std::vector<std::string>{two, one}));
}

// Whatever call of the disk fails: what was written is found once, in its order, and nothing else.
TEST_F(HostFaults, AHistoryWhoseDiskFailsKeepsWhatItHasWritten) {
  std::mt19937_64 random(1);
  FaultyVfs disk;
  testing::internal::CaptureStderr();
  const auto history = History::open(file("h"), {}, troubles_).value();
  std::vector<std::string> written;
  for (int i = 0; i < 60; ++i) {
    const std::string line = large_record(random, 100'000);
    const std::int64_t before = history->written();
    disk.fail(SQLITE_FULL, 1 + i * 7 % 100, i % 3 == 0 ? 0 : i % 3 == 1 ? 1 : 100);
    keep_bob(*history, clock_.now(), line);
    disk.mend();
    if (history->written() > before) written.insert(written.begin(), line.substr(0, line.size() - 1));
  }
  history->close();
  testing::internal::GetCapturedStderr();
  EXPECT_GT(history->dropped(), 5);
  EXPECT_GE(written.size(), 20U);
  EXPECT_TRUE(history->find("bob", 100) == written);
}

TEST_F(HostFaults, APlaceOfTheLogThatIsNotThereIsTrouble) {
  Journal journal(file("none"));
  EXPECT_EQ(journal.trouble(),
            fmt::format("there is no journal: nobody listens at {}; its records are lost", file("none")));
  Syslog syslog(file("none"));
  EXPECT_NE(syslog.trouble(), "");
  const int listening = listen_unix(file("socket"));
  EXPECT_EQ(missing_socket("journal", file("socket")), "");
  ::close(listening);
}

TEST_F(HostFaults, ASocketThatAnotherMayHaveIsNotTaken) {
  const SocketAddress address = SocketAddress::parse("unix:" + file("s")).value();
  EXPECT_TRUE(may_listen_on(address));
  const int listening = listen_unix(file("s"));
  EXPECT_EQ(may_listen_on(address).error(), "unix:" + file("s") + " is in use by another process");
  {
    ASSERT_EQ(::chmod(file("s").c_str(), 0600), 0);
    const Ordinary ordinary(*this);
    if (::geteuid() == kNobody) {
      EXPECT_NE(may_listen_on(address).error().find("cannot be told: Permission denied"), std::string::npos);
    }
  }
  ::close(listening);
  EXPECT_TRUE(may_listen_on(address));  // stale
}

TEST_F(HostFaults, AFullBacklogIsInUseAndKeepsNobodyWaiting) {
  const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  file("s").copy(static_cast<char*>(name.sun_path), sizeof name.sun_path - 1);
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&name), sizeof name), 0);
  ASSERT_EQ(::listen(listening, 0), 0);
  std::vector<std::unique_ptr<WireClient>> waiting;
  waiting.push_back(std::make_unique<WireClient>("unix:" + file("s")));
  EXPECT_EQ(may_listen_on(SocketAddress::parse("unix:" + file("s")).value()).error(),
            "unix:" + file("s") + " is in use by another process");
  ::close(listening);
}

}  // namespace
}  // namespace replygate::test
