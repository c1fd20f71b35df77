#include "milter/store/redis_settlements.h"

#include <algorithm>
#include <utility>

namespace replygate::redis {
namespace {

constexpr std::chrono::milliseconds kFirstPause{200};
constexpr std::chrono::milliseconds kLongestPause{5000};
constexpr std::chrono::seconds kTellPatience{1};
constexpr std::size_t kMostLeft = 100'000;  // beyond them the server gives back what was reserved at its deadline
constexpr std::size_t kToldAtOnce = 500;    // so that decisions need not wait for long
constexpr std::size_t kAgain = 3;           // the argument that says that it may have been heard

}  // namespace

Settlements::Settlements(boost::asio::io_context& io, Tell tell, std::function<bool()> server)
    : tell_(std::move(tell)), server_(std::move(server)), timer_(io), pause_(kFirstPause) {}

void Settlements::unconfirmed(const Request& request) {
  if (left_.size() >= kMostLeft) return;
  auto again = std::make_shared<Request>(
      Request{.keys = request.keys, .arguments = request.arguments, .deadline = {}, .done = {}});
  again->arguments[kAgain] = "1";
  left_.push_back(std::move(again));
  wait();
}

void Settlements::wait() {
  if (waiting_) return;
  timer_.expires_after(pause_);
  timer_.async_wait([this](const boost::system::error_code& cancelled) {
    waiting_ = false;
    if (cancelled) return;
    pause_ = std::min(pause_ * 2, kLongestPause);
    tell_some();
  });
  waiting_ = true;
}

void Settlements::tell_again() {
  pause_ = kFirstPause;
  tell_some();
}

void Settlements::tell_some() {
  if (!server_()) return;  // whoever comes up will be told
  std::vector<std::shared_ptr<Request>> some;
  for (; !left_.empty() && some.size() < kToldAtOnce; left_.pop_front()) some.push_back(std::move(left_.front()));
  for (const auto& request : some) {
    request->deadline = std::chrono::steady_clock::now() + kTellPatience;
    request->done = [this, weak = std::weak_ptr(request)](const redisReply* reply) {
      if (reply != nullptr) {
        pause_ = kFirstPause;
      } else if (const auto same = weak.lock()) {
        unconfirmed(*same);
      }
    };
    tell_(request);
  }
  if (!left_.empty()) wait();
}

}  // namespace replygate::redis
