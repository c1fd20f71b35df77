// The same dialogues to both engines: the same replies and the same records. REPLYGATE_DIALOGUES says how many
// (2000 without); a failure names the seed of its dialogue.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <boost/json.hpp>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "milter/door/asio/engine.h"
#include "milter/door/libmilter.h"
#include "milter/door/wire/packet.h"
#include "tests/differential/dialogues.h"
#include "tests/support/wire.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

constexpr std::string_view kRules = R"(
[site]
local_domains = ["rcpt.example"]
[[rule]]
name = "closed-client"
when = { client_ip = "198.51.100.1" }
reply = 421
[[rule]]
name = "refused-client"
when = { client_ip = "198.51.100.2" }
reply = { code = 554, text = ["two lines, 100%", "of {client_ip}"] }
[[rule]]
name = "closed-helo"
when = { helo = "closed.example" }
reply = 421
[[rule]]
name = "bad-helo"
when = { helo = "bad.example" }
reply = "bad-helo"
[[rule]]
name = "observed"
mode = "observe"
when = { sender_local = "s*" }
reply = 550
[[rule]]
name = "sender-421"
when = { sender_local = "s421" }
reply = 421
[[rule]]
name = "sender-450"
when = { sender_local = "s450" }
reply = 450
[[rule]]
name = "sender-554"
when = { sender_local = "s554" }
reply = 554
[[rule]]
name = "accepted"
when = { recipient = "ok@*" }
accept = true
[[rule]]
name = "recipient-421"
when = { recipient = "r421@*" }
reply = 421
[[rule]]
name = "recipient-450"
when = { recipient = "r450@*" }
reply = { code = 450, text = "{recipient} %d {helo}" }
[[rule]]
name = "recipient-571"
when = { recipient = "r571@*" }
reply = 571
[[rule]]
name = "quota"
per = "client_name"
limit = "6 recipients / 1h"
reply = "quota-exceeded"
[[rule]]
name = "bytes"
per = "client_name"
limit = "6 kB / 1h"
reply = { class = "quota-exceeded", text = "no room" }
[[rule]]
name = "session"
limit = "3 messages / session"
reply = "too-many-messages"
[[rule]]
name = "at-data"
when = { sender_local = "data" }
at = "data"
reply = 451
[[rule]]
name = "big"
when = { size = "> 2500 B", authenticated = false }
reply = "message-too-big"
)";

// Records by client name, without what two runs cannot have in common.
class RecordsByClient final : public RecordSink {
 public:
  void write(Record record) override {
    const std::string line = to_json(record);
    const std::lock_guard lock(mutex_);
    lines_.push_back(line);
    changed_.notify_all();
  }
  std::map<std::string, std::vector<std::string>> take(std::size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(60), [&] { return lines_.size() >= count; });
    std::map<std::string, std::vector<std::string>> by_client;
    for (const std::string& line : lines_) {
      boost::json::value record = boost::json::parse(line);
      strip(record);
      by_client[std::string(record.at("client_name").as_string())].push_back(boost::json::serialize(record));
    }
    lines_.clear();
    return by_client;
  }

 private:
  static void strip(boost::json::value& value) {
    if (auto* list = value.if_array()) {
      for (auto& item : *list) strip(item);
    } else if (auto* object = value.if_object()) {
      for (const char* key : {"time", "open_ms", "before_ms", "session", "ref", "room_at", "policy"})
        object->stable_erase(key);  // some are absent at times
      for (auto& [key, item] : *object) strip(item);
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> lines_;
};

struct Side {
  Side(const std::string& name, const std::string& listen)
      : address("unix:" + listen),
        policy(policy_from(fmt::format("[milter]\nlisten = \"{}\"\nengine = \"{}\"\n{}", address, name, kRules))),
        services{policy, gate, records, references, clock, traffic, times} {
    auto opened = name == "asio" ? open_asio_door(services) : open_libmilter_door(services);
    EXPECT_TRUE(opened) << opened.error();
    door = *std::move(opened);
    door->start([](bool) {});
  }

  std::string address;
  std::shared_ptr<const Policy> policy;
  MemoryStore store;
  Gate gate{store};
  References references{1};
  RecordsByClient records;
  Clock clock;
  Traffic traffic;
  DecisionTimes times;
  DoorServices services;
  std::unique_ptr<MilterDoor> door;
};

Heard read_in_time(WireClient& client) try { return client.read(); } catch (const std::system_error&) {
  return {'?', "no answer"};
}

int code_of(const Heard& heard) { return heard.command == 'y' ? std::stoi(heard.data.substr(0, 3)) : 0; }

std::uint32_t word(const Heard& heard, std::size_t index) {
  return wire::read_u32(std::string_view(heard.data).substr(index * 4));
}

constexpr std::chrono::seconds kPatience{20};

class Differential : public ::testing::Test {
 protected:
  // Gives the number of records that are due.
  int play(std::uint64_t seed) {
    static constexpr std::array<std::pair<std::uint32_t, std::uint32_t>, 3> kOffers = {
        std::pair{6U, 0x1fffffU}, std::pair{6U, 0U}, std::pair{2U, 0x7fU}};
    const auto [version, offered] = kOffers[seed % kOffers.size()];
    WireClient ours(asio_.address, kPatience);
    WireClient theirs(libmilter_.address, kPatience);
    const Heard a = ours.ask(negotiation(version, version == 2 ? 0x3f : 0x1ff, offered));
    const Heard b = theirs.ask(negotiation(version, version == 2 ? 0x3f : 0x1ff, offered));
    for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(word(a, i), word(b, i)) << "negotiated, word " << i;
    const std::uint32_t steps = word(a, 2);
    Model model(seed, fmt::format("d{}.example", seed), (steps & wire::kShowRefused) != 0);
    std::string trace;
    for (std::optional<Event> event = model.connect(); event; event = model.next()) {
      trace += event->command;
      const bool replies = (steps & no_reply(event->command)) == 0 && event->command != 'A';
      Heard said;
      ours.send(event->octets);
      if (replies) said = read_in_time(ours);
      if (event->fault) {
        ++faults_[static_cast<std::size_t>(*event->fault)];
        if (event->abort_instead) theirs.send(packet('A'));
        if (replies) expect_refused(*event, said, seed, trace);
      } else {
        theirs.send(event->octets);
        if (replies) {
          const Heard heard = read_in_time(theirs);
          EXPECT_EQ(said.text(), heard.text()) << "seed " << seed << " after " << trace;
          if (said != heard) break;
        }
      }
      model.heard(*event, code_of(said));
    }
    ours.send(packet('Q'));
    theirs.send(packet('Q'));
    EXPECT_EQ(ours.read().text(), "closed");
    EXPECT_EQ(theirs.read().text(), "closed");
    return model.transactions();
  }

  // Sends what libmilter is said to be silent to, and counts the replies until it closes.
  std::vector<std::string> heard_until_close(const std::string& octets) const {
    WireClient mta(libmilter_.address);
    mta.send(negotiation(6, 0x1ff, 0) + connect_packet("192.0.2.7", "known.example") + octets + packet('Q'));
    std::vector<std::string> said;
    for (Heard heard = mta.read(); heard.command != 0; heard = mta.read()) said.push_back(heard.text());
    return said;
  }

  // What is not shown to libmilter above is what it does not answer, still.
  void known_faults() const {
    const std::string mail = mail_packet("<a@known.example>");
    const std::string refused = rcpt_packet("<r571@rcpt.example>");
    EXPECT_EQ(heard_until_close(rcpt_packet("<a@rcpt.example>")).size(), 2U);  // O, C
    EXPECT_EQ(heard_until_close(mail + packet('T')).size(), 3U);               // O, C, M
    EXPECT_EQ(heard_until_close(mail + packet('E')).size(), 3U);
    EXPECT_EQ(heard_until_close(connect_packet("192.0.2.8")).size(), 2U);
    const std::string kept = mail + rcpt_packet("<a@rcpt.example>");
    EXPECT_EQ(heard_until_close(kept + packet('U', strings({"FOO"})) + packet('E')).size(), 5U);  // O, C, M, R, U
    EXPECT_EQ(heard_until_close(kept + packet('B')).size(), 4U);  // an empty piece of a body ends the connection
    const auto nobody = heard_until_close(mail + refused + packet('E'));
    ASSERT_EQ(nobody.size(), 5U);
    EXPECT_EQ(nobody.back(), "c");
  }

  static std::uint32_t no_reply(char command) {
    switch (command) {
      case 'L': return wire::kNoReplyHeader;
      case 'N': return wire::kNoReplyEndOfHeaders;
      case 'B': return wire::kNoReplyBody;
      default: return 0;
    }
  }

  static void expect_refused(const Event& event, const Heard& said, std::uint64_t seed, const std::string& trace) {
    if (*event.fault == Fault::silent_connect) {
      EXPECT_EQ(said.text(), "closed") << "seed " << seed << " after " << trace;
    } else {
      EXPECT_EQ(said.text(), "451 4.3.0 Local error in processing, try again later")
          << "seed " << seed << " after " << trace;
    }
  }

  const std::string base_ = "/tmp/replygate-differential." + std::to_string(::getpid());
  Side asio_{"asio", base_ + ".asio"};
  Side& libmilter_ = *new Side("libmilter", base_ + ".libmilter");  // whose threads are never joined
  std::array<std::atomic<std::uint64_t>, kFaults> faults_{};
};

void compare(const std::map<std::string, std::vector<std::string>>& a,
             const std::map<std::string, std::vector<std::string>>& b) {
  EXPECT_EQ(a.size(), b.size());
  for (const auto& [client, lines] : a) {
    const auto it = b.find(client);
    ASSERT_NE(it, b.end()) << client;
    EXPECT_EQ(lines, it->second) << client;
  }
}

TEST_F(Differential, SameRepliesAndRecords) {
  const char* wanted = std::getenv("REPLYGATE_DIALOGUES");
  const std::uint64_t dialogues = wanted == nullptr ? 2000 : std::stoull(wanted);
  constexpr std::uint64_t kBatch = 2000;
  constexpr std::uint64_t kPeers = 4;
  std::size_t records = 0;
  for (std::uint64_t first = 0; first < dialogues && !HasFailure(); first += kBatch) {
    std::atomic<std::uint64_t> next = first;
    std::atomic<std::size_t> due = 0;
    std::vector<std::thread> peers;
    for (std::uint64_t peer = 0; peer < kPeers; ++peer) {
      peers.emplace_back([&] {
        for (std::uint64_t seed = next++; seed < std::min(first + kBatch, dialogues) && !HasFailure(); seed = next++) {
          due += static_cast<std::size_t>(play(seed));
        }
      });
    }
    for (std::thread& peer : peers) peer.join();
    if (HasFailure()) break;
    compare(asio_.records.take(due), libmilter_.records.take(due));
    records += due;
  }
  std::cout << dialogues << " dialogues, " << records << " records the same; not shown to libmilter:";
  for (std::size_t i = 0; i < kFaults; ++i) {
    std::cout << ' ' << name_of(static_cast<Fault>(i)) << ' ' << faults_[i];
    EXPECT_TRUE(faults_[i] > 0 || dialogues < 2000) << "a fault that no dialogue meets";
  }
  std::cout << '\n';
  known_faults();
  EXPECT_TRUE(asio_.door->stop());
  static_cast<void>(libmilter_.door->stop());
}

}  // namespace
}  // namespace replygate::test

// libmilter wants its signals blocked before any thread exists.
int main(int argc, char** argv) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
