// A daemon whose counters are on a server behind a faulty line.

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "tests/fault/peer_play.h"
#include "tests/fault/peers.h"
#include "tests/fault/visitor.h"
#include "tests/support/eventually.h"
#include "tests/support/redis_server.h"

namespace replygate::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kBehindAnAnswer{150};  // [store] timeout is a third of it
constexpr milliseconds kBehindAGreeting{1200};
constexpr long kGreetings = 4;  // two connections, each with ROLE and SCRIPT LOAD

// Octets of the value that `in` begins with, command or reply; 0 where it is not whole.
std::size_t value_size(std::string_view in) {
  const std::size_t eol = in.find("\r\n");
  if (eol == std::string_view::npos) return 0;
  std::size_t size = eol + 2;
  if (in[0] != '$' && in[0] != '*') return size;
  const long count = std::strtol(in.data() + 1, nullptr, 10);
  if (in[0] == '$') {
    if (count >= 0) size += static_cast<std::size_t>(count) + 2;
    return size <= in.size() ? size : 0;
  }
  for (long i = 0; i < count; ++i) {
    const std::size_t element = value_size(in.substr(size));
    if (element == 0) return 0;
    size += element;
  }
  return size;
}

// Asks the true server.
class Relay final : public Conversation {
 public:
  explicit Relay(const std::string& path) : server_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::strncpy(static_cast<char*>(name.sun_path), path.c_str(), sizeof name.sun_path - 1);
    if (::connect(server_, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) ::shutdown(server_, SHUT_RDWR);
  }
  ~Relay() override { ::close(server_); }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  std::optional<std::string> answer(std::string& in) override {
    const std::size_t size = value_size(in);
    if (size == 0) return std::nullopt;
    ::send(server_, in.data(), size, MSG_NOSIGNAL);
    in.erase(0, size);
    std::array<char, 65536> part{};
    while (value_size(from_server_) == 0) {
      const ssize_t got = ::recv(server_, part.data(), part.size(), 0);
      if (got <= 0) return std::nullopt;
      from_server_.append(part.data(), static_cast<std::size_t>(got));
    }
    const std::size_t reply = value_size(from_server_);
    std::string text = from_server_.substr(0, reply);
    from_server_.erase(0, reply);
    return text;
  }

 private:
  const int server_;
  std::string from_server_;
};

// How a rule answers without its counters, and what they must hold then: as `sure` as an answer was, with what `may` be
// counted behind one that is missing.
struct RuleRow {
  std::string_view name;
  std::string_view keys;
  bool tempfails;
};
constexpr std::array kRules = {RuleRow{"closed", "", true}, RuleRow{"open", "on_store_error = \"accept\"\n", false},
                               RuleRow{"share", "on_store_error = \"local\"\n", false},
                               RuleRow{"tries", "count = \"attempts\"\n", true}};

struct Bounds {
  long sure = 0;
  long may = 0;
};

Bounds bounds_of(const RuleRow& rule, const Visitor::Sent& sent) {
  const long all = static_cast<long>(sent.recipients.size());
  const long accepted = sent.accepted();
  if (rule.name == "closed") return {accepted, 0};
  if (rule.name == "open") return {0, accepted};
  if (rule.name == "share") return {accepted, accepted};  // what was told and not confirmed is told twice
  const long passed = std::ranges::count(sent.recipients, 250);
  return {passed, all - passed};
}

std::string redis_rules() {
  std::string text;
  for (const RuleRow& rule : kRules) {
    text += fmt::format(
        "[[rule]]\nname = \"{0}\"\nwhen = {{ sender_domain = \"{0}.example\" }}\nper = \"sender\"\n"
        "limit = \"100000 recipients / 1d\"\nreply = 452\n{1}",
        rule.name, rule.keys);
  }
  return text;
}

class RedisPlay final : public PeerPlay {
 public:
  explicit RedisPlay(const std::string& binary)
      : peer_(listen_unix(place_.file("redis")), [this] { return std::make_unique<Relay>(server_.socket()); }),
        daemon_({.binary = binary,
                 .rules = redis_rules(),
                 .store = fmt::format("backend = \"redis\"\nservers = \"unix:{}\"\nhosts = 1", place_.file("redis"))}) {
    in_order();
  }

  long answers() override {
    in_order();
    const long before = peer_.answers();
    script("dry");
    return peer_.answers() - before;
  }

  void turn(PeerFault fault, long answer, bool lasting) override {
    what_ = fmt::format("{} at answer {}{}", name_of(fault), answer, lasting ? " and on" : "");
    const std::string user = fmt::format("u{}", figures.turns);
    peer_.spoil(fault, answer, lasting ? 1'000'000 : 1, answer <= kGreetings ? kBehindAGreeting : kBehindAnAnswer);
    const auto sent = script(user);
    if (lasting && fault != PeerFault::doubled && peer_.spoilt()) {
      expect(eventually([this] { return !daemon_.trouble().empty(); }), &PeerFigures::silent, what_ + ": no trouble");
    }
    peer_.mend();
    expect(daemon_.alive(), &PeerFigures::deaths, what_ + ": " + daemon_.messages());
    expect(in_order(), &PeerFigures::stuck, what_ + ": not in order; " + daemon_.trouble());
    for (std::size_t i = 0; i < kRules.size(); ++i) compare(kRules.at(i), user, sent.at(i));
    figures.slowest = daemon_.slowest;
    figures.unanswered = daemon_.unanswered;
  }

  void end() override { expect(daemon_.stop() == 0, &PeerFigures::deaths, "status at its end: " + daemon_.messages()); }

 private:
  static std::string sender(const RuleRow& rule, const std::string& user) {
    return fmt::format("{}@{}.example", user, rule.name);
  }

  // All connections are made anew, then a message for each rule.
  std::vector<Visitor::Sent> script(const std::string& user) {
    const long before = peer_.answers();
    const auto begin = now();
    peer_.hang_up();
    while (peer_.answers() < before + kGreetings && seconds_since(begin) < 3 && !peer_.spoilt()) {
      std::this_thread::sleep_for(milliseconds(2));
    }
    std::vector<Visitor::Sent> all;
    for (const RuleRow& rule : kRules) {
      all.push_back(daemon_.message(sender(rule, user), {"a@x.example", "b@x.example"}));
      look_at(rule, all.back());
    }
    return all;
  }

  void look_at(const RuleRow& rule, const Visitor::Sent& sent) {
    for (const int code : sent.recipients) {
      expect(code == 250 || (code == 451 && rule.tempfails), &PeerFigures::wrong,
             fmt::format("{}: {} was answered {}", what_, rule.name, code));
    }
    const bool any = std::ranges::count(sent.recipients, 250) > 0;
    expect(sent.end == (any ? 250 : 0), &PeerFigures::wrong,
           fmt::format("{}: the end of {} was answered {}", what_, rule.name, sent.end));
  }

  bool in_order() {
    return eventually([this] {
      const auto sent = daemon_.message("well@closed.example", {"a@x.example"});
      daemon_.message("well@share.example", {"a@x.example"});  // what was counted here is told now
      return sent.accepted() == 1 && daemon_.trouble().empty();
    });
  }

  void compare(const RuleRow& rule, const std::string& user, const Visitor::Sent& sent) {
    const Bounds bounds = bounds_of(rule, sent);
    long used = -1;
    const bool right = eventually([&] {
      used = daemon_.used(std::string(rule.name), sender(rule, user));
      return used >= bounds.sure && used <= bounds.sure + bounds.may;
    });
    expect(right, &PeerFigures::miscounted,
           fmt::format("{}: {} has counted {}, not {} to {}", what_, rule.name, used, bounds.sure,
                       bounds.sure + bounds.may));
  }

  const RedisServer server_;
  const Folder place_;
  FaultyPeer peer_;
  Visitor daemon_;
  std::string what_ = "without a fault";
};

}  // namespace

std::unique_ptr<PeerPlay> redis_play(const std::string& binary) { return std::make_unique<RedisPlay>(binary); }

}  // namespace replygate::test
