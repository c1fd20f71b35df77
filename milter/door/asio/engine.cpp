#include "milter/door/asio/engine.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio.hpp>
#include <cstdio>
#include <future>
#include <thread>
#include <vector>

#include "milter/door/asio/listener.h"
#include "milter/door/asio/worker.h"
#include "milter/log/say.h"

namespace replygate {
namespace {

namespace asio = boost::asio;

constexpr std::int64_t kMostThreads = 4;  // by default; one carries more mail than an MTA on such a machine sends
constexpr rlim_t kOtherDescriptors = 64;  // logs, stores, the second door

std::int64_t thread_count(const DoorBounds& bounds) {
  const std::int64_t cores = std::thread::hardware_concurrency();
  return bounds.threads == 0 ? std::clamp<std::int64_t>(cores / 2, 1, kMostThreads) : bounds.threads;
}

// Each connection takes a descriptor. The soft limit is raised as far as the system allows.
void raise_descriptor_limit(const DoorBounds& bounds) {
  const rlim_t wanted = static_cast<rlim_t>(bounds.connections) + kOtherDescriptors;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < wanted) {
    say(fmt::format("{} open files are allowed, too few for max_connections = {}", limit.rlim_cur, bounds.connections));
  }
}

class AsioDoor final : public MilterDoor {
 public:
  explicit AsioDoor(const DoorServices& services) : services_(services), shared_{services_, services_.traffic, {}} {
    const std::int64_t threads = thread_count(shared_.bounds());
    for (std::int64_t i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(shared_));
  }
  ~AsioDoor() override { static_cast<void>(stop()); }

  tl::expected<void, std::string> listen() {
    raise_descriptor_limit(shared_.bounds());
    for (const std::string& text : services_.policy->settings().listen) {
      const SocketAddress address = handed_over(SocketAddress::parse(text).value());
      auto acceptor = listen_on(workers_.front()->context(), address);
      if (!acceptor) return tl::unexpected(std::move(acceptor.error()));
      listeners_.push_back(std::make_unique<Listener>(*std::move(acceptor), address, workers_, shared_));
    }
    return {};
  }

  void start(std::function<void(bool well)>) override {
    for (const auto& listener : listeners_) listener->start();
    for (const auto& worker : workers_) {
      worker->start();
      started_ = true;
    }
  }

  // Each thread of the engine comes by, one after the other.
  void probe(std::function<void()> done) override { probe_from(0, std::move(done)); }

  // Where a successor takes new connections meanwhile, open sessions may go on for half of the time; else nobody does
  // until we have ended, so that only open transactions are waited for.
  void drain(std::chrono::milliseconds patience) override {
    const bool handed_over = std::ranges::all_of(listeners_, [](const auto& listener) { return listener->passed(); });
    stop_listening();
    shared_.traffic.drain(handed_over ? patience / 2 : std::chrono::milliseconds(0), patience);
  }

  bool stop() override {
    stop_listening();
    for (const auto& worker : workers_) worker->stop();
    return true;
  }

 private:
  void probe_from(std::size_t worker, std::function<void()> done) {
    if (worker == workers_.size()) return done();
    asio::post(workers_[worker]->context(),
               [this, worker, done = std::move(done)]() mutable { probe_from(worker + 1, std::move(done)); });
  }

  // On the thread that the listeners belong to.
  void stop_listening() {
    if (!started_ || listeners_.empty()) return;
    std::promise<void> stopped;
    asio::post(workers_.front()->context(), [&] {
      for (const auto& listener : listeners_) listener->stop();
      stopped.set_value();
    });
    stopped.get_future().wait();
    retired_ = std::move(listeners_);
    listeners_.clear();
  }

  const DoorServices services_;
  EngineShared shared_;
  bool started_ = false;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::unique_ptr<Listener>> retired_;  // their last handlers may still run
};

}  // namespace

tl::expected<std::unique_ptr<MilterDoor>, std::string> open_asio_door(const DoorServices& services) {
  auto door = std::make_unique<AsioDoor>(services);
  if (auto listening = door->listen(); !listening) return tl::unexpected(std::move(listening.error()));
  return door;
}

}  // namespace replygate
