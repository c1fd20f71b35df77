// What the history costs: history_bench [DECISIONS [RECIPIENTS [FOLDER]]]. Decisions are written as fast as they are
// taken, and then found again, with files that are not in memory where the system lets them be dropped.

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <thread>

#include "milter/log/history.h"
#include "tests/support/folder.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

using Random = std::mt19937_64;

constexpr std::string_view kPolicy = R"(
[site]
local_domains = ["example.org"]
[[rule]]
name  = "no-such-user"
when  = { recipient = "nobody@example.org" }
reply = 550
[[rule]]
name  = "user-sending-quota"
when  = { authenticated = true }
per   = "user"
limit = ["500 recipients / 1h", "2000 recipients / 1d"]
reply = "quota-exceeded"
[[rule]]
name  = "client-rate"
mode  = "observe"
per   = "client_net"
limit = "300 messages / 1h"
reply = "rate-limited"
)";

double cpu_seconds(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

double seconds_now() { return cpu_seconds(CLOCK_MONOTONIC); }

class KeepRecords final : public RecordSink {
 public:
  void write(Record record) override { kept.push_back(std::move(record)); }
  std::vector<Record> kept;
};

// One decision of each kind: of strangers and of users, with and without TLS, let through and refused.
std::vector<Record> kinds_of_decisions(World& world, int recipients) {
  KeepRecords sink;
  for (int kind = 0; kind < 16; ++kind) {
    Session session(world.policy, {world.gate, sink, world.references}, {});
    const auto ignore = [](const Answer&) {};
    session.connect({.ip = IpAddress::parse("192.0.2.1"), .name = "client.example.net"}, world.now, ignore);
    session.helo("mail.example.net", world.now, ignore);
    MailEvent mail;
    mail.sender = "<someone@elsewhere.example>";
    mail.queue_id = "4QUEUE";
    if (kind % 2 == 0) mail.user = "someone@example.org";
    if (kind % 4 < 3) mail.tls = {.version = "TLSv1.3", .cipher = "TLS_AES_256_GCM_SHA384", .bits = 256};
    session.mail(std::move(mail), world.now, ignore);
    const bool refused = kind % 4 == 1;
    for (int i = 0; i < recipients; ++i) {
      session.rcpt({.recipient = refused ? "<nobody@example.org>" : "<other@example.org>"}, world.now, ignore);
    }
    session.end_of_message(world.now, ignore);
  }
  return std::move(sink.kept);
}

std::string random_text(Random& random, std::size_t length) {
  static constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string text(length, ' ');
  for (char& c : text) c = kLetters[random() % kLetters.size()];
  return text;
}

std::vector<std::string> random_addresses(Random& random, std::size_t count) {
  std::vector<std::string> addresses;
  for (std::size_t i = 0; i < count; ++i) {
    addresses.push_back(
        fmt::format("{}.{}@{}.example", random_text(random, 5), random_text(random, 7), random_text(random, 8)));
  }
  return addresses;
}

// Gives decisions other people, clients and references each time.
class Variety {
 public:
  Variety(References& references, Random& random)
      : references_(references),
        random_(random),
        senders(random_addresses(random, 1'000'000)),
        recipients(random_addresses(random, 200'000)) {
    for (std::size_t i = 0; i < 300'000; ++i) clients.push_back(IpAddress::v4(static_cast<std::uint32_t>(random())));
    for (const IpAddress& ip : clients) names.push_back(fmt::format("host{}.isp.example", ip.text()));
  }

  void change(Record& kept) {
    const std::size_t client = one_of(clients.size());
    kept.connection.ip_text = clients[client].text();
    kept.connection.name = names[client];
    kept.connection.helo = names[client];
    kept.connection.port = 1024 + static_cast<std::int64_t>(random_() % 60'000);
    Transaction& t = kept.transaction;
    t.sender.full = senders[one_of(senders.size())];
    if (!t.user.empty()) t.user = senders[one_of(senders.size())];
    t.size = static_cast<std::int64_t>(random_() % 200'000);
    t.queue_id = fmt::format("4{:X}z{}", random_() & 0xffffffffffU, random_() % 10);
    kept.time = time += std::chrono::microseconds(5'000 + random_() % 100'000);
    kept.session = references_.next();
    kept.ref = references_.next();
    for (JudgedRecipient& judged : kept.recipients) {
      judged.ref = references_.next();
      judged.recipient.address.full = recipients[one_of(recipients.size())];
      for (LimitUse& use : judged.verdict.limits) {
        use.key = t.user.empty() ? clients[client].text() + "/32" : t.user;
        use.used = static_cast<std::int64_t>(random_() % 400);
      }
    }
  }

  Instant time{std::chrono::hours(490000)};

 private:
  // One in ten is one of the sixteen busiest.
  std::size_t one_of(std::size_t count) { return random_() % (random_() % 10 == 0 ? 16 : count); }

  References& references_;
  Random& random_;

 public:
  std::vector<std::string> senders;
  std::vector<std::string> recipients;
  std::vector<IpAddress> clients;
  std::vector<std::string> names;
};

struct Costs {
  double rendering = 0;  // CPU seconds of this thread
  double hearing = 0;
  std::int64_t octets = 0;  // of JSON
};

// So many decisions more, and one of them.
Record hear_some(History& history, std::vector<Record>& batch, Variety& variety, Costs& costs) {
  std::vector<Rendering> renderings;
  renderings.reserve(batch.size());
  for (Record& record : batch) {
    variety.change(record);
    renderings.emplace_back(record);
  }
  const double begin = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  for (Rendering& rendering : renderings) costs.octets += static_cast<std::int64_t>(rendering.json().size());
  const double rendered = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  for (Rendering& rendering : renderings) history.hear(rendering);
  costs.rendering += rendered - begin;
  costs.hearing += cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - rendered;
  return batch[batch.size() / 2];
}

struct Words {
  std::vector<std::string> refs;
  std::vector<std::string> queue_ids;
};

// No more waits than the queue takes: what is asked here is how much is written, not how much is dropped.
void wait_for_room(const History& history, std::int64_t heard, int recipients) {
  const std::int64_t most = 24'000 / (1 + recipients);
  while (heard - history.written() - history.dropped() > most) {
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

void write_decisions(History& history, std::int64_t count, int recipients, Variety& variety, World& world,
                     Words& words) {
  constexpr std::int64_t kBatch = 1000;
  std::vector<Record> batch;
  const std::vector<Record> kinds = kinds_of_decisions(world, recipients);
  for (std::size_t i = 0; i < kBatch; ++i) batch.push_back(kinds[i % kinds.size()]);
  Costs costs;
  std::int64_t heard = 0;
  const double begin = seconds_now();
  const double cpu_begin = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  while (heard < count) {
    wait_for_room(history, heard, recipients);
    const Record kept = hear_some(history, batch, variety, costs);
    words.refs.push_back(heard % 2'000 == 0 ? kept.ref : kept.recipients.front().ref);
    words.queue_ids.push_back(kept.transaction.queue_id);
    heard += kBatch;
  }
  history.close();
  const double seconds = seconds_now() - begin;
  const double own = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - cpu_begin;
  const auto n = static_cast<double>(heard);
  fmt::print("decisions {}, dropped {}\nwritten {:.0f}/s\n", heard, history.dropped(), n / seconds);
  fmt::print("CPU of a decision: JSON {:.2f} us, hear {:.2f} us, the history's thread {:.2f} us\n",
             costs.rendering / n * 1e6, costs.hearing / n * 1e6, own / n * 1e6);
  fmt::print("octets of JSON {:.0f}\n", static_cast<double>(costs.octets) / n);
}

// Decisions that are rendered already, again and again, so that the history alone is measured.
void write_as_fast_as_possible(int recipients, Variety& variety, World& world) {
  constexpr std::size_t kDecisions = 20'000;
  constexpr int kTimes = 100;
  const std::vector<Record> kinds = kinds_of_decisions(world, recipients);
  std::vector<Record> records;
  std::vector<Rendering> renderings;
  for (std::size_t i = 0; i < kDecisions; ++i) variety.change(records.emplace_back(kinds[i % kinds.size()]));
  for (const Record& record : records) renderings.emplace_back(record).json();
  const Folder folder;
  Troubles troubles;
  const auto history =
      History::open(folder.file("history"), {.records = 10'000'000, .octets = std::int64_t{1} << 40}, troubles).value();
  const double begin = seconds_now();
  for (std::size_t i = 0; i < kDecisions * kTimes; ++i) {
    if (i % 1000 == 0) wait_for_room(*history, static_cast<std::int64_t>(i), recipients);
    history->hear(renderings[i % kDecisions]);
  }
  history->close();
  fmt::print("rendered already: written {:.0f}/s, dropped {}\n",
             static_cast<double>(kDecisions * kTimes) / (seconds_now() - begin), history->dropped());
}

double octets_in(const std::string& folder) {
  double octets = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) octets += static_cast<double>(file.file_size());
  return octets;
}

// The files are read from the disk then.
void drop_caches(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const int file = ::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) continue;
    ::fdatasync(file);
    ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    ::close(file);
  }
}

void look_up(const History& history, const std::string& folder, std::string_view what,
             const std::function<std::string()>& word) {
  constexpr int kTimes = 100;
  std::vector<double> times;
  std::size_t found = 0;
  std::ofstream("/proc/sys/vm/drop_caches") << "3\n";
  for (int i = 0; i < kTimes; ++i) {
    const std::string wanted = word();
    drop_caches(folder);
    const double begin = seconds_now();
    if (!history.find(wanted, 20).empty()) ++found;
    times.push_back((seconds_now() - begin) * 1000);
  }
  std::ranges::sort(times);
  fmt::print("find {:<16} p50 {:6.1f} ms, p99 {:6.1f} ms, max {:6.1f} ms, found {} of {}\n", what, times[kTimes / 2],
             times[kTimes - 2], times.back(), found, kTimes);
}

std::string any_of(Random& random, const std::vector<std::string>& words) { return words[random() % words.size()]; }

int run(std::int64_t count, int recipients, const std::string& folder) {
  Random random(1);
  World world(kPolicy);
  Troubles troubles;
  Variety variety(world.references, random);
  Words words;
  write_as_fast_as_possible(recipients, variety, world);
  auto history = History::open(folder, {.records = count, .octets = std::int64_t{1} << 40}, troubles).value();
  write_decisions(*history, count, recipients, variety, world, words);
  fmt::print("octets of a decision on disk {:.0f}\n", octets_in(folder) / static_cast<double>(count));
  look_up(*history, folder, "references", [&] { return any_of(random, words.refs); });
  look_up(*history, folder, "queue ids", [&] { return any_of(random, words.queue_ids); });
  look_up(*history, folder, "senders", [&] { return any_of(random, variety.senders); });
  look_up(*history, folder, "recipients", [&] { return any_of(random, variety.recipients); });
  look_up(*history, folder, "clients", [&] { return variety.clients[random() % variety.clients.size()].text(); });
  look_up(*history, folder, "busy clients", [&] { return variety.clients[random() % 16].text(); });
  look_up(*history, folder, "busy senders", [&] { return variety.senders[random() % 16]; });
  look_up(*history, folder, "unknown words", [&] { return random_text(random, 12) + "@none.example"; });
  return 0;
}

}  // namespace
}  // namespace replygate::test

int main(int argc, char** argv) {
  const std::int64_t count = argc > 1 ? std::strtoll(argv[1], nullptr, 10) : 10'000'000;
  const int recipients = argc > 2 ? static_cast<int>(std::strtol(argv[2], nullptr, 10)) : 1;
  const replygate::test::Folder folder;
  return replygate::test::run(count, recipients, argc > 3 ? argv[3] : folder.file("history"));
}
