#include "milter/store/redis_heartbeat.h"

#include <algorithm>
#include <array>
#include <utility>

#include "milter/guarded.h"
#include "milter/store/redis_reply.h"
#include "milter/store/redis_request.h"

namespace replygate::redis {
namespace {

constexpr std::chrono::milliseconds kBeatPause{250};
constexpr std::chrono::seconds kQuiet{10};
constexpr int kMostMissed = 2;  // one late answer is no trouble

// Who may not say PING gets an answer, too; a server that serves nobody for a while says so to everybody.
std::string failure_in(const std::vector<Reply>& replies) {
  constexpr std::array<std::string_view, 3> kNobody = {"LOADING", "BUSY", "MASTERDOWN"};
  const std::string_view word = replies.empty() ? "" : error_word(*replies.front());
  return std::ranges::find(kNobody, word) == kNobody.end() ? "" : std::string(text_of(*replies.front()));
}

}  // namespace

Heartbeat::Heartbeat(boost::asio::io_context& io, StoreHealth& health, std::chrono::nanoseconds timeout,
                     std::function<std::shared_ptr<Connection>()> connection)
    : timer_(io), health_(health), timeout_(timeout), connection_(std::move(connection)) {}

void Heartbeat::unreachable(const std::string& why) {
  unreachable_ = why;
  health_.failed(why, std::string(kOnStoreError));
}

void Heartbeat::beat_later() {
  timer_.expires_after(kBeatPause);
  timer_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    guarded("store", [this] { beat(); });
    beat_later();
  });
}

void Heartbeat::beat() {
  const auto connection = beating_ ? nullptr : connection_();
  if (connection == nullptr) return;
  std::string ping = command({"PING"});
  beating_ = true;
  const auto deadline = std::chrono::steady_clock::now() + timeout_;
  connection->send(std::move(ping), 1, std::chrono::time_point_cast<Connection::Time::duration>(deadline),
                   [this](const std::vector<Reply>& replies, const std::string& failure) {
                     beating_ = false;
                     answered(failure.empty() ? failure_in(replies) : failure);
                   });
}

void Heartbeat::answered(const std::string& failure) {
  if (!failure.empty()) {
    if (++missed_ >= kMostMissed) unreachable(failure);
    return;
  }
  missed_ = 0;
  if (const std::string said = std::exchange(unreachable_, ""); !said.empty()) health_.recovered_from(said);
  health_.recovered_if_quiet(kQuiet);
}

}  // namespace replygate::redis
