// A resolver that hangs.

#include "milter/net/resolver.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <boost/asio.hpp>
#include <condition_variable>
#include <mutex>
#include <string_view>

#include "milter/serve/note_carrier.h"
#include "milter/store/redis_store.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::mutex mutex;
std::condition_variable wake;
bool hangs = false;  // guarded by mutex

void hang(bool on) {
  {
    const std::lock_guard lock(mutex);
    hangs = on;
  }
  wake.notify_all();
}

}  // namespace
}  // namespace replygate::test

// In the place of libc's: a name that hangs does so until the test lets it go.
extern "C" int getaddrinfo(const char* host, const char* port, const addrinfo* hints, addrinfo** list) {
  static const auto next = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  const bool numeric = (hints->ai_flags & AI_NUMERICHOST) != 0;
  if (!numeric && std::string_view(host) == "hangs.example") {
    std::unique_lock lock(replygate::test::mutex);
    replygate::test::wake.wait(lock, [] { return !replygate::test::hangs; });
    return EAI_AGAIN;
  }
  return next(host, port, hints, list);
}

namespace replygate::test {
namespace {

// While it lives, a resolver does not answer.
class Hanging : public ::testing::Test {
 protected:
  Hanging() { hang(true); }
  ~Hanging() override { hang(false); }

  // How long it takes.
  static milliseconds time_of(const std::function<void()>& step) {
    const auto begin = std::chrono::steady_clock::now();
    step();
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin);
  }
};

TEST_F(Hanging, KeepsNoStoreFromEnding) {
  const Clock clock;
  StoreHealth health;
  auto store = RedisStore::open({.backend = StoreSettings::Backend::redis, .servers = {"inet:6379@hangs.example"}},
                                clock, health);
  ASSERT_TRUE(store);
  EXPECT_FALSE((*store)->available());
  EXPECT_LT(time_of([&] { store->reset(); }), seconds(2));
}

TEST_F(Hanging, KeepsNoNoteBeyondItsTime) {
  OwnConnections own;
  const NotifySettings settings{
      .to = {"admin@example.org"}, .smtp = "inet:25@hangs.example", .webhook = "http://hangs.example/"};
  EXPECT_LT(time_of([&] {
              for (const auto& carrier : note_carriers(settings, own, milliseconds(100))) {
                EXPECT_FALSE(carrier->carry({"event", "subject", "text\n"}));
              }
            }),
            seconds(2));
}

TEST_F(Hanging, IsNotAskedWhereThereIsAnAddress) {
  boost::asio::io_context io;
  net::Resolver resolver(io);
  std::size_t found = 0;
  resolver.look_up(AF_INET, "127.0.0.1", "25", [&](auto error, const auto& addresses) {
    EXPECT_FALSE(error);
    found = addresses.size();
  });
  EXPECT_EQ(found, 1U);
}

TEST(Resolver, SaysWhatCannotBeFound) {
  boost::asio::io_context io;
  net::Resolver resolver(io);
  bool told = false;
  resolver.look_up(AF_INET, "hangs.example", "25", [&](auto error, const auto&) { told = error.failed(); });
  io.run();
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace replygate::test
