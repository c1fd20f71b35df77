#include "milter/log/history.h"

#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <thread>

#include "tests/fault/goals.h"
#include "tests/fault/peers.h"
#include "tests/support/folder.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

// Hands each record to the history, as fast as it takes them.
class IntoHistory final : public RecordSink {
 public:
  explicit IntoHistory(History& history) : history_(history) {}
  void write(Record record) override {
    Rendering rendering(record);
    history_.hear(rendering);
    ref = record.ref;
  }
  std::string ref;

 private:
  History& history_;
};

void decide(World& world, IntoHistory& sink, long number) {
  Session session(world.policy, {world.gate, sink, world.references}, {});
  const auto ignore = [](const Answer&) {};
  session.connect({.ip = IpAddress::v4(static_cast<std::uint32_t>(number % 1'000'000))}, world.now, ignore);
  MailEvent mail;
  mail.sender = fmt::format("<user{}@x.example>", number % 100'000);
  mail.queue_id = fmt::format("4{:09}", number);
  session.mail(std::move(mail), world.now, ignore);
  session.rcpt({.recipient = fmt::format("<rcpt{}@example.org>", number % 300'007)}, world.now, ignore);
  session.end_of_message(world.now, ignore);
}

}  // namespace

void long_history(const GoalOptions& options, Report& report) {
  const long count = options.full ? 10'000'000 : options.small ? 20'000 : 200'000;
  const Folder folder;
  const std::string path = folder.file("history");
  Troubles troubles;
  auto history = History::open(path, {.records = count}, troubles).value();
  World world("");
  IntoHistory sink(*history);
  std::vector<std::string> refs;
  const auto begin = now();
  for (long i = 0; i < count; ++i) {
    decide(world, sink, i);
    if (i % (count / 20) == 7) refs.push_back(sink.ref);
    // A real mail server is slower; without a pause the backlog would overflow, which is not what is asked here.
    while (i % 5'000 == 0 && i - history->written() > 15'000) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  history->close();
  const double rate = static_cast<double>(count) / seconds_since(begin);
  long unknown = 0;
  Latencies latencies;
  for (int i = 0; i < 100; ++i) {
    const std::string word = i < 20   ? refs[static_cast<std::size_t>(i)]
                             : i < 60 ? fmt::format("4{:09}", (i * 7919L) % count)
                                      : fmt::format("user{}@x.example", i);
    const auto start = now();
    if (history->find(word, 20).empty()) ++unknown;
    latencies.add(seconds_since(start) * 1000);
  }
  double octets = 0;
  for (const auto& file : std::filesystem::directory_iterator(path)) octets += static_cast<double>(file.file_size());
  report.exactly("WHY", fmt::format("words of 100 that {} decisions do not know", count), unknown, 0);
  report.exactly("WHY", "records dropped", history->dropped(), 0);
  report.measured("WHY", "p99 of a look-up", latencies.percentile(99), 200, "ms");
  report.measured("WHY", "octets of a decision on disk", octets / static_cast<double>(count), 300, "");
  report.measured_at_least("WHY", "decisions written", rate, 5000, "/s");
}

}  // namespace replygate::test
