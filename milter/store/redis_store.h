#pragma once

#include <atomic>
#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tl/expected.hpp>
#include <vector>

#include "milter/clock.h"
#include "milter/store/health.h"
#include "milter/store/redis_connection.h"
#include "milter/store/redis_heartbeat.h"
#include "milter/store/redis_request.h"
#include "milter/store/redis_script.h"
#include "milter/store/redis_settlements.h"
#include "policy/count/store.h"
#include "policy/rules/policy.h"

namespace replygate {

// Counters that several hosts share, in Redis or Valkey: one script a decision, in one step on the server and by its
// clock. Where no answer comes in time, or none that helps, there are no readings; a decision is never asked twice, but
// for a script that the server has forgotten. What is reserved and not settled yet is renewed as long as the store is
// there, and what could not be settled is settled as soon as that can be done. Any thread; `done` is called on the
// store's own.
class RedisStore final : public Store {
 public:
  // Whose clock counts: the server's, or, for tests with a simulated one, the caller's.
  enum class Time : std::uint8_t { server, caller };

  // `clock` and `health` outlive the store. It is there whether or not a server is. On failure (a password or
  // certificate that cannot be read) the reason, for people.
  static tl::expected<std::unique_ptr<RedisStore>, std::string> open(const StoreSettings& settings, const Clock& clock,
                                                                     StoreHealth& health, Time time = Time::server);
  ~RedisStore() override;

  void take(std::vector<Charge> charges, bool admit, Instant now, Taken done) override;
  void settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) override;

  void forget(std::vector<std::string> counters, Instant now, Forgotten done) override;

  // Some server answers. False: readings will not be had.
  bool available() const { return ready_ > 0; }

 private:
  using Request = redis::Request;
  // What the settlement of one reserved charge tells the script.
  struct Held {
    std::string counter;
    std::string members;
    std::vector<std::string> words;
  };

  RedisStore(const StoreSettings& settings, const Clock& clock, StoreHealth& health, Time time);

  tl::expected<void, std::string> prepare();
  void run();
  redis::Connection::Time deadline_of(Instant now) const;
  void ask(const std::shared_ptr<Request>& request);
  void pass_on_all();
  void pass_on(const std::shared_ptr<Request>& request, bool whole_script);
  void answered(const std::shared_ptr<Request>& request, std::vector<redis::Reply> replies, const std::string& failure,
                bool whole_script);
  Readings read_answer(const redisReply& reply, const std::vector<Charge>& charges, bool admit, ReservationId id,
                       const Request& request, Instant now);
  Readings readings_of(const redis::Taking& taking, const std::vector<Charge>& charges, bool admit, ReservationId id,
                       const Request& request);
  void renew_in_time();
  bool renewal_is_due(Instant now);
  std::vector<ReservationId> unsettled() const;
  void renew(std::vector<ReservationId> ids, Instant now, const std::function<void()>& then);
  void refused(redis::Connection& connection, std::string_view error);
  void note_readiness();
  std::shared_ptr<redis::Connection> least_busy() const;
  std::shared_ptr<redis::Connection> connection_for(const std::shared_ptr<Request>& request);
  std::shared_ptr<Request> settling(const std::vector<ReservationId>& ids, Settlement settlement, Instant now);
  void give_back_unseen(const Request& request, const std::vector<Charge>& charges, ReservationId id);

  const StoreSettings settings_;
  const Clock& clock_;
  StoreHealth& health_;
  const Time time_;
  const std::string owner_;  // makes reservations of this process differ from all others
  redis::Connection::Options options_;
  std::string script_id_;
  boost::asio::io_context io_;
  boost::asio::steady_timer renewal_{io_};      // of the store's thread
  std::atomic<Instant> renewed_at_{Instant{}};  // by the caller's clock, where that counts
  std::unique_ptr<boost::asio::ssl::context> tls_;
  redis::Servers servers_;
  std::vector<std::shared_ptr<redis::Connection>> connections_;
  redis::Heartbeat heartbeat_;                    // of the store's thread
  redis::Settlements unconfirmed_;                // of the store's thread
  std::vector<std::weak_ptr<Request>> settling_;  // under way; of the store's thread
  std::atomic<int> ready_{0};
  std::atomic<std::uint64_t> last_id_{0};

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Request>> asked_;                       // guarded by mutex_, in the order of the calls
  boost::unordered_flat_map<ReservationId, std::vector<Held>> held_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace replygate
