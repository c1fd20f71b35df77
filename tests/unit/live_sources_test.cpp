// Live sources as the daemon asks them: their words, what is kept of answers, and servers that fail.

#include "milter/lookup/live_sources.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "milter/lookup/answer_cache.h"
#include "milter/lookup/netstring.h"
#include "milter/lookup/table_query.h"
#include "milter/lookup/table_workers.h"
#include "milter/plugins/hosts.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Netstrings, AreReadAsTheyCome) {
  EXPECT_EQ(netstring("a b"), "3:a b,");
  EXPECT_EQ(read_netstring("3:a b,rest", 100).text, "a b");
  EXPECT_EQ(read_netstring("3:a b,rest", 100).octets, 6U);
  for (const std::string_view part : {"", "3", "3:", "3:a b", "12345"}) {
    EXPECT_EQ(read_netstring(part, 100'000).state, Netstring::State::wanting) << part;
  }
  for (const std::string_view wrong : {":", "x", "3:a b;", "-1:,", "1234567", "101:"}) {
    EXPECT_EQ(read_netstring(wrong, 100).state, Netstring::State::wrong) << wrong;
  }
}

TEST(Netstrings, WhatRepliesMean) {
  std::string why;
  EXPECT_EQ(meaning_of_socketmap_reply("OK a b ", why), LiveAnswer::found("a b"));
  EXPECT_EQ(meaning_of_socketmap_reply("OK ", why), LiveAnswer::none());
  EXPECT_EQ(meaning_of_socketmap_reply("NOTFOUND ", why), LiveAnswer::none());
  EXPECT_EQ(why, "");
  EXPECT_EQ(meaning_of_socketmap_reply("TEMP busy", why), LiveAnswer());
  EXPECT_EQ(why, "it says \"TEMP busy\"");
  EXPECT_EQ(meaning_of_socketmap_reply("HTTP/1.1 400", why), LiveAnswer());
  EXPECT_EQ(why, "what came is not an answer");
}

TEST(TableQueries, AreMadeAsPostfixMakesThem) {
  const auto quote = [](std::string_view text) { return '[' + std::string(text) + ']'; };
  EXPECT_EQ(expand_query("%s %S %u %U %d %D %1 %2 %%", "a.b@mx.x.example", quote),
            "[a.b@mx.x.example] [a.b@mx.x.example] [a.b] [a.b] [mx.x.example] [mx.x.example] [example] [x] %");
  EXPECT_EQ(expand_query("%d", "x.example", quote), std::nullopt);  // nothing is asked
  EXPECT_EQ(expand_query("%u", "x.example", quote), "[x.example]");
  EXPECT_EQ(expand_query("%4", "a@mx.x.example", quote), std::nullopt);
  EXPECT_EQ(expand_query("%q", "a@x.example", quote), std::nullopt);
  EXPECT_EQ(expand_result("%u of %D", "v@y.example", "k@x.example"), "v of x.example");
  EXPECT_EQ(expand_result("%s", "", "k@x.example"), std::nullopt);
}

TEST(TableQueries, DomainsThatATableIsAskedFor) {
  EXPECT_TRUE(is_in_domains("", "anything"));
  EXPECT_TRUE(is_in_domains("a.example, X.example", "k@x.example"));
  EXPECT_FALSE(is_in_domains("a.example x.example", "k@y.example"));
  EXPECT_FALSE(is_in_domains("x.example", "x.example"));  // Postfix asks for addresses alone then
}

TEST(TableHosts, AreThoseOfPostfix) {
  for (const auto& [text, host, port] : std::vector<std::array<std::string, 3>>{{"db", "db", ""},
                                                                                {"db:33", "db", "33"},
                                                                                {"inet:db:33", "db", "33"},
                                                                                {"[::1]", "::1", ""},
                                                                                {"inet:[::1]", "::1", ""},
                                                                                {"[::1]:33", "::1", "33"},
                                                                                {"::1", "::1", ""}}) {
    EXPECT_EQ(table_host(text).host, host) << text;
    EXPECT_EQ(table_host(text).port, port) << text;
  }
}

TEST(TableWorkers, AThreadThatCannotBeginIsNotWaitedFor) {
  pthread_attr_t usual;
  pthread_attr_t huge;
  ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(::pthread_attr_init(&huge), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&huge, std::size_t{1} << 50), 0);  // more than there are addresses
  ASSERT_EQ(::pthread_setattr_default_np(&huge), 0);
  TableWorkers workers;
  EXPECT_THROW(workers.begin([] {}), std::system_error);
  ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
  std::atomic<bool> done = false;
  workers.begin([&] { done = true; });
  workers.wait();
  EXPECT_TRUE(done);
}

TEST(AnswerCaches, KeepAnswersForTheirTime) {
  AnswerCache cache(1000);
  const AnswerCache::Time now{};
  cache.put("a", LiveAnswer::found("x"), now + seconds(10));
  cache.put("b", LiveAnswer::none(), now + seconds(10));
  EXPECT_EQ(cache.find("a", now + milliseconds(9999)), LiveAnswer::found("x"));
  EXPECT_EQ(cache.find("b", now), LiveAnswer::none());
  EXPECT_EQ(cache.find("a", now + seconds(10)), std::nullopt);
  EXPECT_EQ(cache.find("c", now), std::nullopt);
}

TEST(AnswerCaches, AreBoundedAndKeepWhatIsAskedFor) {
  AnswerCache cache(1000);
  const AnswerCache::Time now{};
  for (int i = 0; i < 50'000; ++i) {
    cache.put("key " + std::to_string(i), LiveAnswer::none(), now + seconds(10));
    if (i == 0 || i % 10 != 0) continue;
    ASSERT_TRUE(cache.find("key 0", now)) << i;
  }
  EXPECT_LE(cache.size(), 1100U);
}

// A socketmap server. What it answers is told by the key: "slow" never, "cut" half an answer, "gone" none, "garbage",
// "huge", "temp", "late", else "OK key" or, of a key that begins with "no", NOTFOUND.
class Faulty {
 public:
  explicit Faulty(std::string path) : path_(std::move(path)), listener_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(listener_, 100) != 0) {
      throw std::runtime_error("no socket");
    }
    thread_ = std::thread([this] { serve(); });
  }
  ~Faulty() {
    ::shutdown(listener_, SHUT_RDWR);
    accepting_ = false;
    thread_.join();
    ::close(listener_);
    ::unlink(path_.c_str());
  }
  Faulty(const Faulty&) = delete;
  Faulty& operator=(const Faulty&) = delete;

  std::atomic<int> connections = 0;
  std::atomic<int> questions = 0;
  std::atomic<bool> well = false;  // answers "slow" and the like, too

 private:
  void serve() {
    std::vector<std::thread> peers;
    for (int peer = 0; (peer = ::accept(listener_, nullptr, nullptr)) >= 0;) {
      ++connections;
      peers.emplace_back([this, peer] { talk(peer); });
    }
    for (std::thread& peer : peers) peer.join();
  }

  bool readable(int peer) const {
    pollfd wanted{.fd = peer, .events = POLLIN, .revents = 0};
    while (accepting_) {
      if (::poll(&wanted, 1, 20) > 0) return true;
    }
    return false;
  }

  void talk(int peer) {
    std::string in;
    std::array<char, 4096> room{};
    for (ssize_t count = 0; readable(peer) && (count = ::read(peer, room.data(), room.size())) > 0;) {
      in.append(room.data(), static_cast<std::size_t>(count));
      const Netstring question = read_netstring(in, 10'000);
      if (question.state != Netstring::State::whole) continue;
      ++questions;
      const std::string key(question.text.substr(question.text.find(' ') + 1));
      in.clear();
      const std::string answer = answer_to(key);
      if (!answer.empty() && ::send(peer, answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
      if (!well && (key == "gone" || key == "cut")) break;
    }
    ::close(peer);
  }

  std::string answer_to(const std::string& key) const {
    if (!well) {
      if (key == "slow" || key == "gone") return "";
      if (key == "cut") return "20:OK half";
      if (key == "garbage") return "HTTP/1.1 400 Bad Request\r\n";
      if (key == "huge") return "999999:OK " + std::string(1 << 20, 'x');
      if (key == "long") return netstring("OK " + std::string(5000, 'x'));
      if (key == "temp") return netstring("TEMP database is away");
    }
    return netstring(key.starts_with("no") ? "NOTFOUND " : "OK " + key);
  }

  std::string path_;
  std::atomic<bool> accepting_ = true;
  int listener_;
  std::thread thread_;
};

class Sources : public ::testing::Test, protected Folder {
 protected:
  LiveSource source(milliseconds timeout, seconds cache = seconds(60)) const {
    LiveSource made{.name = "m", .server = "unix:" + file("m.sock"), .table = "m", .cache = cache, .timeout = timeout};
    made.id = made.text() + std::to_string(timeout.count());
    return made;
  }

  static LiveAnswer ask(LiveSources& sources, const LiveSource& source, const std::string& key) {
    std::promise<LiveAnswer> told;
    sources.ask(source, key, [&](LiveAnswer answer) { told.set_value(std::move(answer)); });
    return soon(told);
  }

  std::string trouble() const {
    const auto all = troubles_.all();
    return all.empty() ? "" : all.front().what;
  }

  Troubles troubles_;
};

TEST_F(Sources, AnswersAreKeptNegativeOnesToo) {
  Faulty server(file("m.sock"));
  LiveSources sources(troubles_);
  const LiveSource m = source(seconds(20));
  EXPECT_EQ(sources.known(m, "a"), std::nullopt);
  EXPECT_EQ(ask(sources, m, "a"), LiveAnswer::found("a"));
  EXPECT_EQ(ask(sources, m, "nobody"), LiveAnswer::none());
  EXPECT_EQ(sources.known(m, "a"), LiveAnswer::found("a"));
  EXPECT_EQ(sources.known(m, "nobody"), LiveAnswer::none());
  EXPECT_EQ(ask(sources, m, "a"), LiveAnswer::found("a"));
  EXPECT_EQ(server.questions, 2);
  EXPECT_EQ(server.connections, 1);  // kept and used again
  EXPECT_EQ(trouble(), "");
}

TEST_F(Sources, AKeyThatIsAskedAlreadyIsNotAskedAgain) {
  Faulty server(file("m.sock"));
  std::atomic<int> told = 0;  // outlives those who are told at the end
  LiveSources sources(troubles_);
  const LiveSource m = source(seconds(20));
  for (int i = 0; i < 100; ++i) sources.ask(m, "slow", [&](const LiveAnswer&) { ++told; });
  ASSERT_TRUE(eventually([&] { return server.questions == 1; }));
  EXPECT_EQ(ask(sources, m, "a"), LiveAnswer::found("a"));  // nobody waits for others
  EXPECT_EQ(server.questions, 2);
  EXPECT_EQ(told, 0);
}

TEST_F(Sources, AServerThatHangsIsWaitedForOnce) {
  Faulty server(file("m.sock"));
  LiveSources sources(troubles_);
  const LiveSource m = source(milliseconds(50));
  EXPECT_EQ(ask(sources, m, "slow"), LiveAnswer());
  EXPECT_NE(trouble().find("no answer in time; what it is asked is unknown"), std::string::npos) << trouble();
  // One finds out whether it is back, the others are told at once.
  const int before = server.questions;
  std::atomic<int> told = 0;
  for (const std::string key : {"slow", "a", "b", "c"}) sources.ask(m, key, [&](const LiveAnswer&) { ++told; });
  ASSERT_TRUE(eventually([&] { return told == 4; }));
  EXPECT_EQ(server.questions, before + 1);
  server.well = true;
  ASSERT_TRUE(eventually([&] { return trouble().empty(); }));  // without mail
  EXPECT_EQ(ask(sources, m, "d"), LiveAnswer::found("d"));
}

TEST_F(Sources, ASlowKeyIsNoReasonNotToAskOthers) {
  Faulty server(file("m.sock"));
  LiveSources sources(troubles_);
  const LiveSource m = source(seconds(1));
  std::promise<LiveAnswer> told;
  sources.ask(m, "slow", [&](LiveAnswer answer) { told.set_value(std::move(answer)); });
  EXPECT_EQ(ask(sources, m, "a"), LiveAnswer::found("a"));
  EXPECT_EQ(soon(told), LiveAnswer());
  EXPECT_NE(trouble().find("no answer in time"), std::string::npos) << trouble();
  std::atomic<int> unknown = 0;
  for (const std::string key : {"slow", "b", "c"}) {
    sources.ask(m, key, [&](const LiveAnswer& answer) { unknown += answer == LiveAnswer() ? 1 : 0; });
  }
  EXPECT_EQ(ask(sources, m, "d"), LiveAnswer::found("d"));
  EXPECT_TRUE(eventually([&] { return sources.known(m, "b") && sources.known(m, "c"); }));
  sources.end();
  EXPECT_EQ(unknown, 1);
}

// The slow key goes on being slow.
TEST_F(Sources, WhetherAServerIsBackIsFoundOutByAnotherKey) {
  Faulty server(file("m.sock"));
  LiveSources sources(troubles_);
  const LiveSource m = source(milliseconds(50));
  EXPECT_EQ(ask(sources, m, "slow"), LiveAnswer());
  std::atomic<int> told = 0;
  for (const std::string key : {"slow", "a"}) sources.ask(m, key, [&](const LiveAnswer&) { ++told; });
  ASSERT_TRUE(eventually([&] { return told == 2; }));
  ASSERT_TRUE(eventually([&] { return trouble().empty(); }));
  EXPECT_EQ(sources.known(m, "a"), LiveAnswer::found("a"));
  EXPECT_EQ(ask(sources, m, "slow"), LiveAnswer());  // now the key that was answered is known
  EXPECT_NE(trouble(), "");
  ASSERT_TRUE(eventually([&] { return trouble().empty(); }));
}

TEST_F(Sources, AServerThatFails) {
  Faulty server(file("m.sock"));
  LiveSources sources(troubles_);
  const LiveSource m = source(seconds(20));
  for (const std::string key : {"gone", "cut", "garbage", "huge"}) {
    EXPECT_EQ(ask(sources, m, key), LiveAnswer()) << key;
    EXPECT_NE(trouble(), "") << key;
    EXPECT_EQ(ask(sources, m, "well " + key), LiveAnswer::found("well " + key));
    EXPECT_EQ(trouble(), "") << key;
  }
}

TEST_F(Sources, WhatItCannotAnswerIsNoReasonNotToAskIt) {
  Faulty server(file("m.sock"));
  LiveSources sources(troubles_);
  const LiveSource m = source(seconds(20));
  EXPECT_EQ(ask(sources, m, "temp"), LiveAnswer());
  EXPECT_NE(trouble().find("it says \"TEMP database is away\""), std::string::npos) << trouble();
  EXPECT_EQ(ask(sources, m, "temp"), LiveAnswer());  // is not kept
  EXPECT_EQ(server.questions, 2);
  EXPECT_EQ(ask(sources, m, "a"), LiveAnswer::found("a"));
  EXPECT_EQ(trouble(), "");
}

TEST_F(Sources, OfALongAnswerItIsKnownThatItIsThere) {
  Faulty server(file("m.sock"));
  LiveSources sources(troubles_);
  EXPECT_EQ(ask(sources, source(seconds(20)), "long"), LiveAnswer::found(""));
  EXPECT_EQ(trouble(), "");
}

TEST_F(Sources, AServerThatIsNotThereComesBack) {
  LiveSources sources(troubles_);
  const LiveSource m = source(seconds(20));
  EXPECT_EQ(ask(sources, m, "a"), LiveAnswer());
  EXPECT_NE(trouble().find("No such file"), std::string::npos) << trouble();
  Faulty server(file("m.sock"));
  ASSERT_TRUE(eventually([&] { return trouble().empty(); }));
  EXPECT_EQ(ask(sources, m, "a"), LiveAnswer::found("a"));
}

TEST_F(Sources, AServerThatRestartsIsAskedOnANewConnection) {
  LiveSources sources(troubles_);
  const LiveSource m = source(seconds(20));
  for (int i = 0; i < 3; ++i) {
    const Faulty server(file("m.sock"));
    sources.ask(m, "warm", [](const LiveAnswer&) {});
    ASSERT_TRUE(eventually([&] { return ask(sources, m, std::to_string(i)) == LiveAnswer::found(std::to_string(i)); }));
    sources.keep(*std::make_shared<const Policy>(Site{.local_domains = std::make_shared<TextSet>(),
                                                      .relay_domains = std::make_shared<TextSet>(),
                                                      .trusted_networks = std::make_shared<NetworkSet>()},
                                                 Settings(), std::vector<Rule>(), "id"));
  }
}

TEST_F(Sources, KeysThatAreTooLongAreNotAsked) {
  Faulty server(file("m.sock"));
  LiveSources sources(troubles_);
  EXPECT_EQ(sources.known(source(seconds(20)), std::string(2000, 'x')), LiveAnswer());
  EXPECT_EQ(server.questions, 0);
}

TEST_F(Sources, WhoWaitsWhenItEndsIsTold) {
  Faulty server(file("m.sock"));
  std::promise<LiveAnswer> told;
  {
    LiveSources sources(troubles_);
    sources.ask(source(seconds(20)), "slow", [&](LiveAnswer answer) { told.set_value(std::move(answer)); });
    ASSERT_TRUE(eventually([&] { return server.questions == 1; }));
  }
  EXPECT_EQ(soon(told), LiveAnswer());
}

TEST_F(Sources, ADatabaseWithoutItsPlugInIsTrouble) {
  LiveSources sources(troubles_);
  LiveSource m{.kind = LiveSource::Kind::ldap, .table = file("none.cf"), .timeout = seconds(20), .id = "ldap"};
  EXPECT_EQ(ask(sources, m, "a"), LiveAnswer());
  EXPECT_NE(trouble(), "");
}

}  // namespace
}  // namespace replygate::test
