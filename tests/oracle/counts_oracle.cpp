// Random rules and dialogues, played to the real session and to a model of sessions that was written from
// conf/POLICY.md alone. Every reply must be the model's.
//
//   counts_oracle [dialogues [seed]]                    on every store; 500, or $REPLYGATE_ORACLE_DIALOGUES
//   counts_oracle --daemon REPLYGATE [policies [seed]]  a daemon for each policy, spoken to at its milter socket
//
// The long form is counts_oracle 100000.

#include <fmt/format.h>

#include <cstdlib>
#include <thread>

#include "milter/store/redis_store.h"
#include "milter/store/sqlite_store.h"
#include "policy/count/store_memory.h"
#include "tests/fault/daemon.h"
#include "tests/oracle/count_stage.h"
#include "tests/oracle/count_times.h"
#include "tests/oracle/made_counts.h"
#include "tests/support/eventually.h"
#include "tests/support/folder.h"
#include "tests/support/hand_clock.h"
#include "tests/support/redis_server.h"
#include "tests/support/world.h"

namespace replygate::oracle::counts {
namespace {

constexpr std::int64_t kBegin = 1'771'000'000;     // 2026-02-13: what follows sees both ends of summer time
constexpr std::uint64_t kDialoguesOfStores = 500;  // some five years: zones without their rules end in 2037
constexpr int kFailures = 3;

// What differs; "" where nothing does.
std::string difference(const Told& expected, const std::string& got) {
  if (expected.code == 250) {
    const std::string_view wanted = expected.held ? kHeld : "";
    return got == wanted ? "" : fmt::format("go on: {}", wanted);
  }
  const std::string begin = fmt::format("{} {}.7.1 ", expected.code, expected.code / 100);
  if (expected.for_good) {
    const std::string code = expected.code == 552 ? "552 5.3.4 " : begin;
    return got.starts_with(code) ? "" : code;
  }
  std::string text = begin + expected.rule;
  if (!expected.limited && !expected.greylisted) return got.starts_with(text) ? "" : text;
  if (!got.starts_with(text + ' ')) return text;
  const std::int64_t used = std::strtoll(got.c_str() + text.size() + 1, nullptr, 10);
  const bool more = expected.or_more && used > expected.used;
  text += expected.greylisted ? " " : fmt::format(" {}, {}, ", more ? used : expected.used, expected.limit);
  if (!got.starts_with(text)) return text;
  if (!expected.waits) return "";
  const std::int64_t told = duration_of(got.substr(text.size()));
  if (told >= expected.wait && told <= expected.wait + expected.late) return "";
  return fmt::format("{}from {} to {} microseconds", text, expected.wait, expected.wait + expected.late);
}

// One dialogue, on all stages at once.
class Play {
 public:
  Play(const Policy& policy, std::vector<std::pair<std::string, Stage*>> stages)
      : model_(policy), stages_(std::move(stages)) {}

  bool act(const Act& act, std::int64_t now) {
    acts_.push_back(act);
    const Told expected = model_.act(act, now);
    replies_ += expected.code == 250 ? 0 : 1;
    for (const auto& [name, stage] : stages_) {
      const std::string got = stage->act(act, Instant(Duration(now)));
      const std::string wanted = difference(expected, got);
      if (wanted.empty()) continue;
      fmt::print("on {}: \"{}\", but wanted is \"{}\"\n", name, got, wanted);
      return false;
    }
    return true;
  }

  void print(const Policy& policy) const {
    fmt::print("{}\n", text_of(policy));
    for (const Act& act : acts_) fmt::print("{}\n", text_of(act));
  }

  const Model& model() const { return model_; }
  std::size_t acts() const { return acts_.size(); }
  std::size_t refusals() const { return replies_; }

 private:
  Model model_;
  std::vector<std::pair<std::string, Stage*>> stages_;
  std::vector<Act> acts_;
  std::size_t replies_ = 0;
};

struct Totals {
  std::size_t acts = 0;
  std::size_t refusals = 0;
  std::size_t invalid = 0;
  int failures = 0;
};

void add(Totals& totals, const Play& play) {
  totals.acts += play.acts();
  totals.refusals += play.refusals();
}

// The stores, and time, which goes on from dialogue to dialogue.
class Stores {
 public:
  Stores() {
    sqlite_ = SqliteStore::open({.path = folder_.file("state.db")}, clock_, health_).value();
    open_redis();
  }

  void dialogue(std::uint64_t number, std::uint64_t seed, Totals& totals) {
    Random random(seed + number);
    const Policy policy = make_policy(random, fmt::format("n{}", number));
    const Loaded loaded = test::load_text(text_of(policy));
    if (!loaded.ok()) {
      ++totals.invalid;
      for (const Diagnostic& d : loaded.diagnostics) fmt::print("{}", render(d, loaded.sources));
      return;
    }
    SessionStage memory(loaded.policy, memory_);
    SessionStage sqlite(loaded.policy, *sqlite_);
    SessionStage redis(loaded.policy, *redis_);
    Play play(policy, {{"memory", &memory}, {"sqlite", &sqlite}, {"redis", &redis}});
    bool good = true;
    for (int left = 30 + static_cast<int>(random() % 80); left > 0 && good; --left) {
      const Act act = make_act(random, play.model(), true);
      now_ += act.wait + 1;
      clock_.pass(Duration(act.wait + 1));
      good = play.act(act, now_);
    }
    add(totals, play);
    if (good) return;
    ++totals.failures;
    fmt::print("dialogue {} of seed {}:\n", number, seed);
    play.print(policy);
  }

 private:
  void open_redis() {
    StoreSettings settings{.backend = StoreSettings::Backend::redis, .servers = {server_.address()}};
    settings.timeout = std::chrono::seconds(5);
    redis_ = RedisStore::open(settings, clock_, health_, RedisStore::Time::caller).value();
    if (!test::eventually([this] { return redis_->available(); })) throw std::runtime_error("Redis does not answer");
  }

  test::Folder folder_;
  test::RedisServer server_;
  test::HandClock clock_;
  StoreHealth health_;
  MemoryStore memory_;
  std::unique_ptr<SqliteStore> sqlite_;
  std::unique_ptr<RedisStore> redis_;
  std::int64_t now_ = kBegin * kSecond;
};

// Counters begin anew with each daemon; no time passes to speak of, so that short windows are left out.
bool suits_daemon(const Policy& policy) {
  const auto is_long = [](const Cap& cap) { return cap.over != Over::time || cap.seconds >= 3600; };
  return std::ranges::all_of(policy.rules, [&](const Rule& rule) {
    if (rule.grey && rule.grey->delay.seconds < 300) return false;
    return std::ranges::all_of(rule.caps, is_long) &&
           std::ranges::all_of(rule.escalate, [&](const Step& step) { return is_long(step.after); }) &&
           std::ranges::all_of(rule.own,
                               [&](const auto& own) { return std::ranges::all_of(own.second.caps, is_long); });
  });
}

std::int64_t real_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::microseconds>(now).count();
}

void play_daemon(const std::string& binary, std::uint64_t number, std::uint64_t seed, Totals& totals) {
  Random random(seed + number);
  Policy policy = make_policy(random, fmt::format("n{}", number));
  while (!suits_daemon(policy)) policy = make_policy(random, fmt::format("n{}", number));
  std::string rules = text_of(policy);
  rules.erase(0, rules.find('\n') + 1);  // the version
  const char* engine = number % 2 == 0 ? "asio" : "libmilter";
  const test::Daemon daemon({.binary = binary, .milter = fmt::format("engine = \"{}\"", engine), .rules = rules});
  WireStage wire(daemon.address());
  Play play(policy, {{engine, &wire}});
  bool good = true;
  for (int left = 150; left > 0 && good; --left) good = play.act(make_act(random, play.model(), false), real_now());
  add(totals, play);
  if (good) return;
  ++totals.failures;
  fmt::print("policy {} of seed {}:\n", number, seed);
  play.print(policy);
}

std::uint64_t wanted(int argc, char** argv, int index, const char* variable, std::uint64_t otherwise) {
  if (argc > index) return std::strtoull(argv[index], nullptr, 10);
  const char* value = std::getenv(variable);
  return value == nullptr ? otherwise : std::strtoull(value, nullptr, 10);
}

int run(int argc, char** argv) {
  const bool daemon = argc > 2 && std::string_view(argv[1]) == "--daemon";
  const int first = daemon ? 3 : 1;
  const std::uint64_t count = wanted(argc, argv, first, "REPLYGATE_ORACLE_DIALOGUES", daemon ? 10 : 500);
  const std::uint64_t seed = wanted(argc, argv, first + 1, "REPLYGATE_ORACLE_SEED", 20261125);
  fmt::print("{} dialogues, seed {}\n", count, seed);
  Totals totals;
  if (daemon) {
    for (std::uint64_t i = 0; i < count && totals.failures < kFailures; ++i) play_daemon(argv[2], i, seed, totals);
  } else {
    std::unique_ptr<Stores> stores;
    for (std::uint64_t i = 0; i < count && totals.failures < kFailures; ++i) {
      if (i % kDialoguesOfStores == 0) {
        stores.reset();
        stores = std::make_unique<Stores>();
      }
      stores->dialogue(i, seed, totals);
    }
  }
  fmt::print("{} acts, {} refusals, {} policies in error, {} dialogues that differ\n", totals.acts, totals.refusals,
             totals.invalid, totals.failures);
  return totals.failures == 0 && totals.invalid == 0 && totals.refusals > 0 ? 0 : 1;
}

}  // namespace
}  // namespace replygate::oracle::counts

int main(int argc, char** argv) { return replygate::oracle::counts::run(argc, argv); }
