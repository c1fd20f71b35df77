// Load on a filter, as an MTA makes it: sessions one after another on each connection, and in each a command after the
// reply to the one before. One thread, as cheap as can be, so that the filter is what is measured. Prints JSON.

#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <deque>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "milter/door/wire/packet.h"
#include "tests/bench/mta_session.h"

namespace {

using namespace replygate;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostOctets = std::size_t{1} << 20;        // of a reply
constexpr Clock::duration kPatience = std::chrono::seconds(10);  // for any reply

struct Options {
  std::string path;
  std::int64_t connections = 16;
  test::MtaSession::Plan plan;
  double think_ms = 0;
  double seconds = 3;
  std::int64_t transactions = 0;  // 0: as many as the seconds allow
};

struct Client {
  int descriptor = -1;
  test::MtaSession session;
  std::string begun;  // of a reply whose end has not come
  Clock::time_point asked;
  Clock::duration waited{};  // for replies, in this transaction
};

class Load {
 public:
  explicit Load(const Options& options)
      : options_(options),
        pause_(std::chrono::nanoseconds(std::llround(options.think_ms * 1e6))),
        clients_(static_cast<std::size_t>(options.connections)) {}

  void run();
  std::string report(double cpu_seconds) const;

 private:
  void begin_session(Client& client);
  void go_on(Client& client);  // with what is due next, after the pause
  void ask(Client& client);    // sends it
  void hear(Client& client);   // reads replies
  void hear(Client& client, const wire::Packet& reply);
  void count_transaction(Client& client);
  void wake_thinkers();
  timespec patience() const;

  const Options& options_;
  const Clock::duration pause_;
  const int poll_ = ::epoll_create1(EPOLL_CLOEXEC);
  std::vector<Client> clients_;
  std::deque<std::pair<Clock::time_point, Client*>> thinkers_;  // the soonest first: all pauses are alike
  std::vector<std::uint32_t> waits_;                            // microseconds, of each transaction
  std::int64_t in_time_ = 0;                                    // of these, before the end of the time
  std::int64_t refused_ = 0;
  std::size_t open_ = 0;
  bool ending_ = false;
  Clock::duration took_{};
};

void Load::begin_session(Client& client) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  options_.path.copy(static_cast<char*>(name.sun_path), sizeof name.sun_path - 1);
  client.descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (::connect(client.descriptor, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    throw std::system_error(errno, std::generic_category(), options_.path);
  }
  epoll_event event{.events = EPOLLIN, .data = {.ptr = &client}};
  ::epoll_ctl(poll_, EPOLL_CTL_ADD, client.descriptor, &event);
  client.session.begin(options_.plan);
  go_on(client);
}

void Load::go_on(Client& client) {
  if (pause_ == Clock::duration::zero()) return ask(client);
  thinkers_.emplace_back(Clock::now() + pause_, &client);
}

void Load::ask(Client& client) {
  for (;;) {
    const test::MtaSession::Step step = client.session.next();
    if (step.octets.empty()) {
      ::close(client.descriptor);
      client.descriptor = -1;
      if (!ending_) return begin_session(client);
      --open_;
      return;
    }
    client.asked = Clock::now();
    if (::send(client.descriptor, step.octets.data(), step.octets.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(step.octets.size())) {
      throw std::runtime_error("the filter hung up");
    }
    if (step.waits) return;
    if (pause_ != Clock::duration::zero() && !client.session.at_end()) return go_on(client);
  }
}

// What may go before a reply is passed over: a sign of life, a header.
void Load::hear(Client& client) {
  std::array<char, 4096> octets;
  const ssize_t size = ::recv(client.descriptor, octets.data(), octets.size(), 0);
  if (size <= 0) throw std::runtime_error("the filter hung up");
  std::string_view rest(octets.data(), static_cast<std::size_t>(size));
  if (!client.begun.empty()) rest = client.begun.append(rest);
  char reply = 0;
  wire::Framed framed = wire::next_packet(rest, kMostOctets);
  for (; framed.kind == wire::Framed::Kind::packet; framed = wire::next_packet(rest, kMostOctets)) {
    rest.remove_prefix(framed.size);
    if (framed.packet.command == 'p' || framed.packet.command == 'h') continue;
    if (std::exchange(reply, framed.packet.command) != 0) throw std::runtime_error("two replies to a command");
    hear(client, framed.packet);
  }
  if (framed.kind != wire::Framed::Kind::incomplete) throw std::runtime_error("a reply that is no packet");
  client.begun = std::string(rest);
  if (reply != 0) go_on(client);
}

void Load::hear(Client& client, const wire::Packet& reply) {
  client.waited += Clock::now() - client.asked;
  const test::MtaSession::Heard heard = client.session.hear(reply, ending_);
  if (heard.refused) ++refused_;
  if (heard.transaction_ended) count_transaction(client);
}

void Load::count_transaction(Client& client) {
  const auto wait = std::chrono::duration_cast<std::chrono::microseconds>(client.waited).count();
  waits_.push_back(static_cast<std::uint32_t>(wait));
  client.waited = {};
  if (!ending_) ++in_time_;
  if (options_.transactions != 0 && std::ssize(waits_) >= options_.transactions) ending_ = true;
}

void Load::wake_thinkers() {
  if (thinkers_.empty()) return;
  const Clock::time_point now = Clock::now();
  while (!thinkers_.empty() && thinkers_.front().first <= now) {
    Client& client = *thinkers_.front().second;
    thinkers_.pop_front();
    ask(client);
  }
}

timespec Load::patience() const {
  if (thinkers_.empty()) return {1, 0};
  const auto left = std::chrono::nanoseconds(thinkers_.front().first - Clock::now()).count();
  return {0, std::clamp<long>(left, 0, 999'999'999)};
}

void Load::run() {
  const Clock::time_point begun = Clock::now();
  const auto time = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options_.seconds));
  for (Client& client : clients_) {
    client.session = test::MtaSession(static_cast<std::uint64_t>(&client - clients_.data()));
    ++open_;
    begin_session(client);
  }
  std::array<epoll_event, 256> events{};
  Clock::time_point heard = begun;
  while (open_ > 0) {
    wake_thinkers();
    const timespec wait = patience();
    const int count = ::epoll_pwait2(poll_, events.data(), events.size(), &wait, nullptr);
    for (int i = 0; i < count; ++i) hear(*static_cast<Client*>(events.at(static_cast<std::size_t>(i)).data.ptr));
    const Clock::time_point now = Clock::now();
    if (count > 0) heard = now;
    if (now - heard > kPatience) throw std::runtime_error("no reply for ten seconds");
    if (options_.transactions == 0 && now - begun >= time) ending_ = true;
    if (!ending_) took_ = now - begun;
  }
}

double cpu_seconds() {
  rusage used{};
  ::getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

std::string Load::report(double cpu_seconds) const {
  std::vector<std::uint32_t> sorted = waits_;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](std::size_t percent) { return sorted.empty() ? 0 : sorted[(sorted.size() - 1) * percent / 100]; };
  const double seconds = std::chrono::duration<double>(took_).count();
  return fmt::format(
      R"({{"transactions": {}, "seconds": {:.3f}, "transactions_per_second": {:.1f}, "refused": {}, "p50_us": {}, "p99_us": {}, "cpu_seconds": {:.3f}}})"
      "\n",
      sorted.size(), seconds, static_cast<double>(in_time_) / seconds, refused_, at(50), at(99), cpu_seconds);
}

}  // namespace

int main(int argc, char** argv) try {
  Options options;
  CLI::App app("load on a filter, as an MTA makes it");
  app.add_option("--socket", options.path, "the path of its Unix socket")->required();
  app.add_option("--connections", options.connections)->check(CLI::PositiveNumber);
  app.add_option("--messages", options.plan.messages, "in a session")->check(CLI::PositiveNumber);
  app.add_option("--recipients", options.plan.recipients, "of a message")->check(CLI::PositiveNumber);
  app.add_option("--senders", options.plan.senders, "taken at random")->check(CLI::PositiveNumber);
  app.add_option("--think-ms", options.think_ms, "between a reply and the next command");
  app.add_option("--seconds", options.seconds);
  app.add_option("--transactions", options.transactions, "end after so many, not after seconds");
  app.add_flag("--together", options.plan.together, "send commands without a reply with the one that has one");
  CLI11_PARSE(app, argc, argv);
  Load load(options);
  load.run();
  fmt::print("{}", load.report(cpu_seconds()));
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "milter_load: {}\n", error.what());
  return 69;
}
