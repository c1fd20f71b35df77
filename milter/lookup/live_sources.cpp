#include "milter/lookup/live_sources.h"

#include <atomic>
#include <boost/asio.hpp>
#include <boost/unordered/unordered_flat_map.hpp>
#include <future>
#include <mutex>
#include <shared_mutex>
#include <thread>

#include "milter/guarded.h"
#include "milter/lookup/asked_source.h"
#include "milter/lookup/table_workers.h"

namespace replygate {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kOfLookups = "lookups";

}  // namespace

class LiveSources::Loop {
 public:
  explicit Loop(Troubles& troubles) : troubles_(troubles), thread_([this] { run_guarded(io_, "lookups"); }) {}
  ~Loop() { end(); }
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  void end() {
    if (ended_.exchange(true)) return;
    asio::post(io_, [this] {
      for (const auto& [name, asked] : all()) asked->end();
      work_.reset();
    });
    thread_.join();
    table_workers().wait();  // they post to the loop
    io_.restart();
    io_.poll();  // what came too late is told so
  }

  void keep(const Policy& policy) {
    if (ended_) return;
    std::vector<std::shared_ptr<AskedSource>> gone;
    {
      const std::unique_lock lock(mutex_);
      boost::unordered::erase_if(asked_, [&](const auto& known) {
        const auto& named = policy.live_sources();
        const bool stays = std::ranges::any_of(named, [&](const auto& source) { return source->id == known.first; });
        if (!stays) gone.push_back(known.second);
        return !stays;
      });
    }
    asio::post(io_, [this, gone] {
      for (const auto& asked : gone) asked->end();
      tell();
    });
  }

  std::shared_ptr<AskedSource> find(const LiveSource& source) {
    {
      const std::shared_lock lock(mutex_);
      if (const auto it = asked_.find(source.id); it != asked_.end()) return it->second;
    }
    const std::unique_lock lock(mutex_);
    auto& asked = asked_[source.id];
    if (asked == nullptr) asked = std::make_shared<AskedSource>(io_, source, [this] { tell(); });
    return asked;
  }

  bool ended() const { return ended_; }
  template <typename Step>
  void post(Step step) {
    asio::post(io_, std::move(step));
  }

 private:
  using Table = boost::unordered_flat_map<std::string, std::shared_ptr<AskedSource>, TextHash, std::equal_to<>>;

  Table all() {
    const std::shared_lock lock(mutex_);
    return asked_;
  }

  void tell() {
    std::vector<std::string> troubles;
    for (const auto& [name, asked] : all()) troubles.push_back(asked->trouble());
    troubles_.tell(std::string(kOfLookups), std::move(troubles));
  }

  Troubles& troubles_;
  asio::io_context io_{1};
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> work_{io_.get_executor()};
  std::shared_mutex mutex_;
  std::atomic<bool> ended_ = false;
  Table asked_;  // guarded by mutex_; by LiveSource::id
  std::thread thread_;
};

LiveSources::LiveSources(Troubles& troubles) : loop_(std::make_unique<Loop>(troubles)) {}
LiveSources::~LiveSources() = default;

void LiveSources::end() { loop_->end(); }

void LiveSources::keep(const Policy& policy) { loop_->keep(policy); }

std::optional<LiveAnswer> LiveSources::known(const LiveSource& source, std::string_view key) {
  const auto asked = loop_->find(source);
  if (key.size() > kLongestKey) return LiveAnswer();
  return asked->cache().find(key, std::chrono::steady_clock::now());
}

void LiveSources::ask(const LiveSource& source, std::string_view key, Told told) {
  if (loop_->ended()) return told({});
  const auto asked = loop_->find(source);
  loop_->post([asked, key = std::string(key), told = std::move(told)]() mutable { asked->ask(key, std::move(told)); });
}

void LiveSources::misread(const LiveSource& source, std::string_view key) {
  const auto asked = loop_->find(source);
  loop_->post([asked, key = std::string(key)] { asked->misread(key); });
}

namespace {

class WaitingLookups final : public Lookups {
 public:
  explicit WaitingLookups(Troubles& troubles) : sources_(troubles) {}

  std::optional<LiveAnswer> known(const LiveSource& source, std::string_view key) override {
    if (auto answer = sources_.known(source, key)) return answer;
    auto told = std::make_shared<std::promise<LiveAnswer>>();
    auto answer = told->get_future();
    sources_.ask(source, key, [told](LiveAnswer a) { told->set_value(std::move(a)); });
    return answer.get();
  }
  void ask(const LiveSource& source, std::string_view key, Told told) override {
    told(known(source, key).value_or(LiveAnswer()));
  }
  void misread(const LiveSource& source, std::string_view key) override { sources_.misread(source, key); }

 private:
  LiveSources sources_;
};

}  // namespace

std::unique_ptr<Lookups> waiting_lookups(Troubles& troubles) { return std::make_unique<WaitingLookups>(troubles); }

}  // namespace replygate
