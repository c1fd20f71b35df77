// What it costs to ask a live source: an answer that is kept, from one thread and from several at once, and a whole
// RCPT that compares with one. What is not kept is not waited for here: see tests/unit/live_test.cpp.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>

#include "milter/lookup/answer_cache.h"
#include "milter/lookup/live_sources.h"
#include "policy/count/store_memory.h"
#include "policy/decide/session.h"
#include "policy/load/load.h"

namespace replygate {
namespace {

constexpr int kKeys = 50'000;

std::string key_of(int i) { return fmt::format("user{}@domain{}.example", i, i % 1000); }

// Half of the keys are known, of half it is known that they are not.
AnswerCache& full_cache() {
  static AnswerCache cache(LiveSources::kMostAnswers);
  if (cache.size() > 0) return cache;
  const auto until = std::chrono::steady_clock::now() + std::chrono::hours(1);
  for (int i = 0; i < kKeys; ++i) cache.put(key_of(i), i % 2 == 0 ? LiveAnswer::found("x") : LiveAnswer::none(), until);
  return cache;
}

void kept_answer(benchmark::State& state) {
  AnswerCache& cache = full_cache();
  std::vector<std::string> keys;
  for (int i = 0; i < 1000; ++i) keys.push_back(key_of(i * 37 % kKeys));
  std::size_t next = static_cast<std::size_t>(state.thread_index()) * 101;
  for (auto _ : state) {
    auto answer = cache.find(keys[next++ % keys.size()], std::chrono::steady_clock::now());
    if (!answer) state.SkipWithError("an answer was lost");
    benchmark::DoNotOptimize(answer);
  }
}

// Everything is known.
class Known final : public Lookups {
 public:
  std::optional<LiveAnswer> known(const LiveSource&, std::string_view key) override {
    return full_cache().find(key, std::chrono::steady_clock::now());
  }
  void ask(const LiveSource&, std::string_view, Told) override { std::abort(); }
  void misread(const LiveSource&, std::string_view) override { std::abort(); }
};

void rcpt(benchmark::State& state, std::string_view list) {
  const std::string text = fmt::format(
      "version = 1\n[site]\nrelay = \"mta\"\n[lists]\nl = {}\n"
      "[[rule]]\nname = \"r\"\nwhen = {{ recipient = \"$l\" }}\nreply = 550\n",
      list);
  const Loaded loaded = load_policy("p", [&](const DataSource&, std::string&) { return std::optional(text); });
  if (!loaded.ok()) std::abort();
  MemoryStore store;
  Known known;
  Gate gate(store, nullptr, &known);
  NoRecords sink;
  References references(1);
  Session session(loaded.policy, {gate, sink, references}, {});
  const Instant now(std::chrono::hours(490000));
  const auto ignore = [](const Answer&) {};
  session.connect({.ip = IpAddress::parse("192.0.2.7")}, now, ignore);
  session.helo("client.example", now, ignore);
  const std::string recipient = '<' + key_of(1) + '>';
  for (auto _ : state) {
    session.mail({.sender = "<a@b.example>"}, now, ignore);
    session.rcpt({.recipient = recipient}, now, ignore);
  }
}

BENCHMARK(kept_answer);
BENCHMARK(kept_answer)->Threads(2)->UseRealTime();
BENCHMARK_CAPTURE(rcpt, live_list, "\"socketmap:unix:/run/m:m\"");
BENCHMARK_CAPTURE(rcpt, list_in_memory, "[\"other@domain.example\"]");

}  // namespace
}  // namespace replygate

BENCHMARK_MAIN();
