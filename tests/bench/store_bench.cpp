// What counting costs: store_bench [keys]. Ratios are against the store in memory in the same run. store_bench
// --members measures what one more outcome costs a key that has many.

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <random>
#include <thread>

#include "milter/store/redis_store.h"
#include "milter/store/sqlite_store.h"
#include "policy/count/store_memory.h"
#include "tests/support/folder.h"
#include "tests/support/redis_server.h"

namespace replygate::test {
namespace {

constexpr int kThreads = 16;
constexpr Instant kNow{std::chrono::hours(490000)};

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

double resident_mib() {
  double total = 0;
  double resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1048576;
}

void append_counter(std::string& text, int key) {
  fmt::format_to(std::back_inserter(text), "user-sending-quota\x1fmessages/1h\x1f{}@example.org", key);
}

std::string counter_of(int key) {
  std::string text;
  append_counter(text, key);
  return text;
}

Charge charge_of(int key) {
  return {.counter = counter_of(key), .measure = Sliding{std::chrono::hours(1)}, .most = 1 << 30, .reserve = false};
}

double takes_a_second(Store& store, Instant now, int keys, int takes) {
  const double seconds = seconds_of([&] {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = t; i < takes; i += kThreads) store.take({charge_of(i % keys)}, true, now, [](const Readings&) {});
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  return takes / seconds;
}

void compare_backends() {
  for (const int keys : {1, 100'000}) {
    const Folder folder;
    const Clock clock;
    StoreHealth health;
    MemoryStore memory;
    const double reference = takes_a_second(memory, clock.now(), keys, 4'000'000);
    const auto sqlite = SqliteStore::open({.path = folder.file("state.db")}, clock, health).value();
    const double on_disk = takes_a_second(*sqlite, clock.now(), keys, 4'000'000);
    fmt::print("{:>8} keys, {} threads: memory {:.2f} M takes/s, sqlite (window) {:.2f} M/s, ratio {:.2f}\n", keys,
               kThreads, reference / 1e6, on_disk / 1e6, on_disk / reference);
  }
}

// As a decision takes them: `limits` counters of one key together, in memory that the next one uses again.
double nanoseconds_a_take(MemoryStore& store, int keys, int limits) {
  std::mt19937 random(5);
  constexpr int kTakes = 200'000;
  std::vector<Charge> charges(static_cast<std::size_t>(limits), charge_of(0));
  Readings answer;
  return seconds_of([&] {
           for (int i = 0; i < kTakes; ++i) {
             const int key = static_cast<int>(random() % static_cast<unsigned>(keys));
             for (int limit = 0; limit < limits; ++limit) {
               std::string& counter = charges[static_cast<std::size_t>(limit)].counter;
               counter.clear();
               append_counter(counter, limit == 0 ? key : (key + 1) % keys);
             }
             store.take_at_once(charges, true, kNow, answer);
           }
         }) *
         1e9 / kTakes / limits;
}

void grow(int most) {
  MemoryStore store({.keys = most}, MemoryStore::random_secret(), false);
  const double empty = resident_mib();
  int kept = 0;
  for (int keys = 10'000; keys <= most; keys *= 10) {
    for (; kept < keys; ++kept) store.take_now({charge_of(kept)}, true, kNow);
    fmt::print(
        "{:>8} keys: {:.0f} octets a key, {:.0f} ns a take of a random key, {:.0f} ns where two are taken together\n",
        keys, (resident_mib() - empty) * 1048576 / keys, nanoseconds_a_take(store, keys, 1),
        nanoseconds_a_take(store, keys, 2));
  }
}

void reload(int keys) {
  const Folder folder;
  const Clock clock;
  StoreHealth health;
  const StoreSettings settings{.path = folder.file("state.db"), .max_keys = keys + 1'000'000};
  {
    const auto store = SqliteStore::open(settings, clock, health).value();
    for (int i = 0; i < keys; ++i) store->take({charge_of(i)}, true, clock.now(), [](const Readings&) {});
  }
  const auto octets = std::filesystem::file_size(settings.path);
  std::unique_ptr<SqliteStore> store;
  const double seconds = seconds_of([&] { store = SqliteStore::open(settings, clock, health).value(); });
  fmt::print("{:>8} keys: {} octets a key on disk, loaded in {:.2f} s, {:.2f} M keys/s\n", store->memory().counters(),
             octets / static_cast<unsigned>(keys), seconds, keys / seconds / 1e6);
}

// Decisions of many threads, and what the server gives when it is asked the same by its own benchmark.
void share() {
  const RedisServer server;
  const Clock clock;
  StoreHealth health;
  StoreSettings settings{.backend = StoreSettings::Backend::redis};
  settings.servers = {server.address()};
  settings.timeout = std::chrono::seconds(5);
  const auto store = RedisStore::open(settings, clock, health).value();
  while (!store->available()) std::this_thread::yield();
  constexpr int kDecisions = 100'000;
  const double seconds = seconds_of([&] {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < kDecisions / kThreads; ++i) {
          std::promise<void> told;
          store->take({charge_of(1)}, true, clock.now(), [&](const Readings&) { told.set_value(); });
          told.get_future().wait();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
  std::string words = "'take' 0 900000000 x 1";
  for (const std::string& word : redis::words_of(charge_of(1))) words += " '" + word + "'";
  const std::string key = redis::key_of(settings.prefix, "bench");
  const std::string keys = fmt::format("{0} {0}#members {0} {0}#members", key);
  const std::string command =
      fmt::format("redis-benchmark -s {} -n {} -c {} -P 5 -q EVALSHA {} 4 {} {} 2>/dev/null | tr '\\r' '\\n' | tail -2",
                  server.socket(), kDecisions, settings.connections, redis::script_id(), keys, words);
  fmt::print("redis: {:.0f} decisions/s from {} threads over {} connections; redis-benchmark with the same script:\n",
             kDecisions / seconds, kThreads, settings.connections);
  std::fflush(stdout);
  if (std::system(command.c_str()) != 0) fmt::print("redis-benchmark did not run\n");
}

std::int64_t octets_written() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::int64_t octets = 0;
  while (io >> name >> octets) {
    if (name == "wchar:") return octets;
  }
  return 0;
}

Charge outcome_of(int member) {
  return {.counter =
              "watch\x1f"
              "deliveries/1h\x1f"
              "news@example.org",
          .measure = Distinct{std::chrono::hours(1)},
          .most = 1'000'000,
          .even_if_full = true,
          .reserve = false,
          .member = fmt::format("4XyZ12abcd {} r{}@there.example", 1795946400000000, member)};
}

void count_and_wait(Store& store, Instant now, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    std::promise<void> told;
    store.take({outcome_of(i)}, false, now, [&](const Readings&) { told.set_value(); });
    told.get_future().wait();
  }
}

// Each count is written by itself, as at some a second.
void count_members() {
  constexpr int kCounts = 50;
  for (const int members : {10, 1'000, 10'000, 100'000}) {
    const Folder folder;
    const Clock clock;
    StoreHealth health;
    const StoreSettings settings{.path = folder.file("state.db"), .durability = StoreSettings::Durability::commit};
    const auto store = SqliteStore::open(settings, clock, health).value();
    for (int i = 0; i < members - 1; ++i) store->take({outcome_of(i)}, false, clock.now(), [](const Readings&) {});
    count_and_wait(*store, clock.now(), members - 1, 1);
    const std::int64_t before = octets_written();
    const double seconds = seconds_of([&] { count_and_wait(*store, clock.now(), members, kCounts); });
    fmt::print("{:>8} outcomes of a key: one more takes {:.2f} ms and {:.1f} KB written\n", members,
               seconds * 1e3 / kCounts, static_cast<double>(octets_written() - before) / 1e3 / kCounts);
  }
}

}  // namespace
}  // namespace replygate::test

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--members") {
    replygate::test::count_members();
    return 0;
  }
  const int keys = argc > 1 ? std::stoi(argv[1]) : 1'000'000;
  replygate::test::compare_backends();
  replygate::test::grow(keys);
  replygate::test::reload(keys);
  replygate::test::share();
}
