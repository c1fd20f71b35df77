#pragma once

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "milter/store/redis_store.h"
#include "policy/count/local_share.h"
#include "tests/fault/peers.h"

// Hosts that share a server.
namespace replygate::test {

inline constexpr std::size_t kNodes = 4;

inline Charge one_of(std::string counter, std::int64_t most) {
  return {.counter = std::move(counter),
          .measure = Sliding{std::chrono::hours(1)},
          .most = most,
          .reserve = false,
          .local = true};
}

// One host: its clock, its connections, and its share of limits.
struct Node {
  Node(const std::vector<std::string>& servers, std::chrono::milliseconds timeout, std::int64_t replicas = 0)
      : redis(RedisStore::open(settings(servers, timeout, replicas), clock, health).value()),
        share(*redis, kNodes, {}) {
    const auto begin = now();
    while (!redis->available() && seconds_since(begin) < 20) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~Node() { redis.reset(); }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  static StoreSettings settings(const std::vector<std::string>& servers, std::chrono::milliseconds timeout,
                                std::int64_t replicas) {
    StoreSettings settings{.backend = StoreSettings::Backend::redis};
    settings.servers = servers;
    settings.timeout = timeout;
    settings.wait_replicas = replicas;
    return settings;
  }
  Readings ask(Store& store, const Charge& charge) const {
    std::promise<Readings> told;
    store.take({charge}, true, clock.now(), [&](Readings r) { told.set_value(std::move(r)); });
    return told.get_future().get();
  }
  Readings take(const Charge& charge) { return ask(*redis, charge); }
  std::int64_t used(const std::string& counter) {
    Charge look = one_of(counter, 1);
    look.cost = 0;
    for (int i = 0; i < 1000; ++i) {
      const Readings r = take(look);
      if (!r.readings.empty()) return r.readings.front()->used;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return -1;
  }

  Clock clock;
  StoreHealth health;
  std::unique_ptr<RedisStore> redis;
  LocalShare share;
};

inline bool answered(const Readings& r) { return !r.readings.empty() && r.readings.front().has_value(); }
inline bool admits(const Readings& r) { return answered(r) && r.readings.front()->fits; }

}  // namespace replygate::test
