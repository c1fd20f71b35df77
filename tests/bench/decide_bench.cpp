// What a decision costs: inquire() and decide() without the store, and whole messages with it. Prints the time and the
// allocations of one decision; `allocations` of a decision that says nothing must be 0.

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>

#include "policy/count/store_memory.h"
#include "policy/decide/decide.h"
#include "policy/decide/inquiry.h"
#include "policy/decide/session.h"
#include "policy/load/load.h"
#include "tests/bench/allocations.h"

namespace replygate {
namespace {

constexpr std::string_view kSite =
    "version = 1\n[site]\nlocal_domains = [\"example.org\"]\ntrusted_networks = [\"127.0.0.0/8\"]\n"
    "[lists]\nblocked = [\"spammer@bad.example\", \".worse.example\"]\n";

std::shared_ptr<const Policy> load(const std::string& text) {
  const Loaded loaded = load_policy("p", [&](const DataSource& source, std::string&) -> std::optional<std::string> {
    return source.path == "p" ? std::optional(text) : std::nullopt;
  });
  for (const Diagnostic& d : loaded.diagnostics) fmt::print(stderr, "{}", render(d, loaded.sources));
  if (!loaded.ok()) std::abort();
  return loaded.policy;
}

// Twenty rules of all kinds that are asked at RCPT.
std::string twenty_rules(int many = 100) {
  std::string text(kSite);
  text +=
      "[[rule]]\nname = \"relay\"\nunless = { recipient_domain = \"$local_domains\", client_ip = "
      "\"$trusted_networks\", "
      "authenticated = true }\nreply = \"relay-denied\"\n"
      "[[rule]]\nname = \"blocked\"\nwhen = { sender = \"$blocked\" }\nat = \"rcpt\"\nreply = \"access-denied\"\n"
      "[[rule]]\nname = \"many\"\nreply = \"too-many-recipients\"\n";
  text += fmt::format("when = {{ recipients = \"> {}\" }}\n", many);
  for (int i = 0; i < 17; ++i) {
    text += fmt::format(
        "[[rule]]\nname = \"r{}\"\nwhen = {{ recipient_local = \"box{}\", sender_domain = [\"a{}.example\", "
        "\".b{}.example\"], tls = false }}\nreply = \"access-denied\"\n",
        i, i, i, i);
  }
  return text;
}

std::string with_senders() {
  std::string text(kSite);
  for (int i = 0; i < 1000; ++i) {
    text += fmt::format(
        "[[rule]]\nname = \"r{}\"\nwhen = {{ sender = \"user{}@domain{}.example\" }}\nat = \"rcpt\"\nreply = 554\n", i,
        i, i);
  }
  return text;
}

std::string with_networks() {
  std::string text(kSite);
  for (int i = 0; i < 1000; ++i) {
    text += fmt::format(
        "[[rule]]\nname = \"r{}\"\nwhen = {{ client_ip = \"10.{}.{}.0/24\" }}\nat = \"rcpt\"\nreply = 554\n", i,
        i / 256, i % 256);
  }
  return text;
}

std::string with_quota() {
  return twenty_rules() +
         "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = [\"500 recipients / 1h\", \"2000 recipients / 1d\"]\n"
         "reply = \"quota-exceeded\"\n";
}

// Limits that a benchmark does not reach.
std::string roomy_quota() {
  return twenty_rules(10'000) +
         "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = [\"1000M recipients / 1h\", \"2000M recipients / "
         "1d\"]\n"
         "reply = \"quota-exceeded\"\n";
}

// Of one of `parts` of an iteration.
void count_allocations(benchmark::State& state, std::int64_t before, int parts) {
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(allocations() - before) / parts, benchmark::Counter::kAvgIterations);
}

void decide_rcpt(benchmark::State& state, const std::string& text, std::string_view sender) {
  const auto policy = load(text);
  Connection connection;
  connection.ip = IpAddress::parse("10.1.2.3");
  connection.ip_text = "10.1.2.3";
  connection.helo = "client.example";
  Transaction transaction;
  transaction.sender = canonical_address(sender, {.default_domain = "x", .is_local = [](auto) { return false; }});
  transaction.recipients = 1;
  Recipient recipient;
  recipient.address =
      canonical_address("bob@example.org", {.default_domain = "x", .is_local = [](auto) { return false; }});
  recipient.external = false;
  const Facts facts{.connection = connection,
                    .transaction = &transaction,
                    .recipient = &recipient,
                    .now = Instant(std::chrono::hours(490000))};
  const Question question{.stage = Stage::rcpt};
  const Reading room{.used = 1, .cost = 1, .fits = true};
  std::vector<std::optional<Reading>> readings(8, room);
  Inquiry inquiry;
  inquire(*policy, facts, question, inquiry);
  const std::int64_t before = allocations();
  for (auto _ : state) {
    inquire(*policy, facts, question, inquiry);
    Verdict verdict = decide(facts, inquiry, readings, {facts.now, "0123456789"});
    benchmark::DoNotOptimize(verdict);
  }
  count_allocations(state, before, 1);
}

// A message to so many, from MAIL to its end: session, gate, store in memory and record; figures are of one recipient.
void message(benchmark::State& state, const std::string& text) {
  const auto policy = load(text);
  const auto recipients = static_cast<int>(state.range(0));
  MemoryStore store;
  Gate gate(store);
  NoRecords sink;
  References references(1);
  Session session(policy, {gate, sink, references}, {});
  const Instant now(std::chrono::hours(490000));
  const auto ignore = [](const Answer&) {};
  session.connect({.ip = IpAddress::parse("10.1.2.3"), .name = "client.example"}, now, ignore);
  session.helo("client.example", now, ignore);
  std::vector<RcptEvent> events;
  for (int i = 0; i < recipients; ++i) {
    events.push_back({.recipient = fmt::format("<recipient{}@example.org>", i), .rewritten = {}, .route = {}});
  }
  const auto send = [&] {
    session.mail({.sender = "<alice@elsewhere.example>"}, now, ignore);
    for (const RcptEvent& event : events) session.rcpt(event, now, ignore);
    session.end_of_message(now, ignore);
  };
  send();
  const std::int64_t before = allocations();
  for (auto _ : state) send();
  count_allocations(state, before, recipients);
  state.counters["ns_each"] =
      benchmark::Counter(static_cast<double>(recipients) * 1e-9,
                         benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}

BENCHMARK_CAPTURE(decide_rcpt, 20_rules_pass, twenty_rules(), "alice@elsewhere.example");
BENCHMARK_CAPTURE(decide_rcpt, 20_rules_refuse, twenty_rules(), "spammer@bad.example");
BENCHMARK_CAPTURE(decide_rcpt, 20_rules_and_quota, with_quota(), "alice@elsewhere.example");
BENCHMARK_CAPTURE(decide_rcpt, 1000_senders_pass, with_senders(), "alice@elsewhere.example");
BENCHMARK_CAPTURE(decide_rcpt, 1000_senders_last, with_senders(), "user999@domain999.example");
BENCHMARK_CAPTURE(decide_rcpt, 1000_networks_last, with_networks(), "alice@elsewhere.example");
BENCHMARK_CAPTURE(message, 20_rules_and_quota, roomy_quota())->Arg(1)->Arg(5)->Arg(50)->Arg(1000);

}  // namespace
}  // namespace replygate

BENCHMARK_MAIN();
