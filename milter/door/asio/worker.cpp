#include "milter/door/asio/worker.h"

#include <fmt/format.h>
#include <time.h>

#include <boost/asio.hpp>

#include "milter/door/asio/mta_connection.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

namespace asio = boost::asio;

// Well within the seconds for which MTAs wait.
constexpr std::chrono::seconds kProgressEvery{3};
// Connections whose commands are decided in a row. With more of them, peers have nothing to do meanwhile.
constexpr std::size_t kTogether = 8;
constexpr std::size_t kPacketRoom = std::size_t{72} << 10U;  // for a packet of the body, and what follows it
constexpr std::size_t kRoom = kPacketRoom + (std::size_t{16} << 10U);

// Some milliseconds behind, and a tenth of the price: all that waits here waits for seconds.
Deadlines::Time rough_now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return Deadlines::Time(std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec));
}

MtaConnection& connection_of(Deadlines::Item& item) { return static_cast<MtaConnection&>(item); }

}  // namespace

Worker::Worker(EngineShared& shared)
    : shared_(shared),
      deadlines_{Deadlines(shared.bounds().idle), Deadlines(shared.bounds().packet_time), Deadlines(kProgressEvery)},
      room_(kRoom) {
  received_.reserve(kTogether);
}

Worker::~Worker() { stop(); }

void Worker::start() {
  thread_ = std::thread([this] {
    name_thread("milter");
    while (!run()) {
    }
  });
}

// What a handler throws ends its connection alone.
bool Worker::run() try {
  watch_.start();
  context_.run();
  return true;
} catch (const std::exception& error) {
  shared_.troubles.say(fmt::format("internal error: {}", error.what()));
  return false;
}

void Worker::stop() {
  if (!thread_.joinable()) return;
  asio::post(context_, [this] { close_all(); });
  guard_.reset();
  thread_.join();
}

void Worker::close_all() {
  flush_unsent();  // the end of a message may be what the stop has waited for
  stopping_ = true;
  timer_.cancel();
  for (Deadlines& list : deadlines_) {
    while (Deadlines::Item* item = list.take_any()) connection_of(*item).close();
  }
  watch_.stop();
}

void Worker::serve(Descriptor socket, bool tcp) {
  auto connection = std::make_shared<MtaConnection>(*this, std::move(socket), tcp);
  asio::dispatch(context_, [this, connection = std::move(connection)] {
    if (!stopping_) connection->start();
  });
}

void Worker::wait_for(Waiting what, Deadlines::Item& connection) {
  deadlines(what).put_off(connection, rough_now());
  wake_at(*deadlines(what).next());
}

void Worker::process_later(std::shared_ptr<MtaConnection> connection, std::string_view received) {
  received_.push_back(std::move(connection));
  if (received.data() == room().data()) used_ += received.size();
  if (received_.size() == kTogether || room().size() < kPacketRoom) process_received();
}

void Worker::process_received() {
  for (const auto& connection : received_) connection->process_received();
  received_.clear();
  used_ = 0;
  flush_unsent();
}

void Worker::send_later(std::shared_ptr<MtaConnection> connection) {
  unsent_.push_back(std::move(connection));
  if (unsent_.size() == 1 && received_.empty()) asio::post(context_, [this] { flush_unsent(); });
}

void Worker::flush_unsent() {
  auto connections = std::exchange(unsent_, std::move(spare_));
  for (const auto& waiting : connections) waiting->flush();
  connections.clear();
  spare_ = std::move(connections);
}

// The timer is set only when something is due earlier than it; put-off deadlines find it waking in vain.
void Worker::wake_at(Deadlines::Time time) {
  if (time >= wake_ || stopping_) return;
  timer_.expires_at(time);
  timer_.async_wait([this](boost::system::error_code error) {
    if (!error) on_wake();
  });
  wake_ = time;
}

void Worker::on_wake() {
  wake_ = Deadlines::Time::max();
  const auto now = std::chrono::steady_clock::now();
  for (const Waiting what : {Waiting::idle, Waiting::stalled, Waiting::decision}) {
    while (Deadlines::Item* item = deadlines(what).take_due(now)) connection_of(*item).on_deadline(what);
  }
  for (const Deadlines& list : deadlines_) {
    if (const auto next = list.next()) wake_at(*next);
  }
}

}  // namespace replygate
