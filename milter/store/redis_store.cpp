#include "milter/store/redis_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include "milter/files.h"
#include "milter/guarded.h"
#include "milter/store/redis_script.h"
#include "milter/thread_name.h"
#include "policy/count/admission.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kRenewedAtOnce = 500;  // so that decisions need not wait for long
constexpr int kRenewals = 3;                 // within the time in which a reservation would end

std::string random_name() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

std::vector<SocketAddress> addresses_of(const std::vector<std::string>& servers) {
  std::vector<SocketAddress> result;
  result.reserve(servers.size());
  for (const std::string& server : servers) result.push_back(SocketAddress::parse_server(server).value());
  return result;
}

}  // namespace

RedisStore::RedisStore(const StoreSettings& settings, const Clock& clock, StoreHealth& health, Time time)
    : settings_(settings),
      clock_(clock),
      health_(health),
      time_(time),
      owner_(random_name()),
      options_{.user = settings.user, .password = "", .tls = settings.tls, .script = std::string(redis::script())},
      script_id_(redis::script_id()),
      io_(1),
      servers_(addresses_of(settings.servers)),
      heartbeat_(io_, health_, settings.timeout, [this] { return least_busy(); }),
      unconfirmed_(io_, [this](const auto& request) { pass_on(request, false); }, [this] { return available(); }) {}

tl::expected<std::unique_ptr<RedisStore>, std::string> RedisStore::open(const StoreSettings& settings,
                                                                        const Clock& clock, StoreHealth& health,
                                                                        Time time) {
  std::unique_ptr<RedisStore> store(new RedisStore(settings, clock, health, time));
  if (auto ready = store->prepare(); !ready) return tl::unexpected(ready.error());
  store->thread_ = std::thread([raw = store.get()] {
    name_thread("store");
    raw->run();
  });
  return store;
}

tl::expected<void, std::string> RedisStore::prepare() {
  if (!settings_.password_file.empty()) {
    std::string why;
    const auto text = read_file(settings_.password_file, why);
    if (!text) return tl::unexpected(fmt::format("{}: {}", settings_.password_file, why));
    options_.password = trim(*text);
  }
  if (settings_.tls) {
    tls_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
    boost::system::error_code error;
    if (settings_.ca_file.empty()) {
      tls_->set_default_verify_paths(error);
    } else {
      tls_->load_verify_file(settings_.ca_file, error);
    }
    if (error) return tl::unexpected(fmt::format("{}: {}", settings_.ca_file, error.message()));
    tls_->set_verify_mode(asio::ssl::verify_peer);
  }
  for (std::int64_t i = 0; i < settings_.connections; ++i) {
    connections_.push_back(std::make_shared<redis::Connection>(
        io_, servers_, options_, tls_.get(),
        redis::Connection::Events{[this](const std::string& why) { heartbeat_.unreachable(why); },
                                  [this] { note_readiness(); }}));
  }
  return {};
}

void RedisStore::run() {
  const auto guard = asio::make_work_guard(io_);
  for (const auto& connection : connections_) connection->start();
  if (time_ == Time::server) {
    renew_in_time();
    heartbeat_.start();
  }
  run_guarded(io_, "store");
}

RedisStore::~RedisStore() {
  asio::post(io_, [this] {
    heartbeat_.stop();
    unconfirmed_.stop();
    for (const auto& connection : connections_) connection->stop();
    io_.stop();
  });
  if (thread_.joinable()) thread_.join();
}

// All calls of one command have one deadline, since they come with one time.
redis::Connection::Time RedisStore::deadline_of(Instant now) const {
  const Duration spent = time_ == Time::caller ? Duration(0) : std::max(clock_.now() - now, Duration(0));
  return std::chrono::steady_clock::now() + (settings_.timeout - spent);
}

void RedisStore::take(std::vector<Charge> charges, bool admit, Instant now, Taken done) {
  if (!available()) return done({});
  if (renewal_is_due(now)) {
    return renew(unsettled(), now, [this, charges = std::move(charges), admit, now, done = std::move(done)] {
      take(charges, admit, now, done);
    });
  }
  const ReservationId id = ++last_id_;
  auto request = std::make_shared<Request>();
  request->deadline = deadline_of(now);
  request->arguments = {"take", time_ == Time::caller ? std::to_string(now.time_since_epoch().count()) : "0",
                        std::to_string(settings_.reservation_timeout.count()), fmt::format("{}-{}", owner_, id),
                        admit ? "1" : "0"};
  for (const Charge& c : charges) {
    for (const std::string& name : {c.counter, c.was.empty() ? c.counter : c.was}) {
      request->keys.push_back(redis::key_of(settings_.prefix, name));
      request->keys.push_back(request->keys.back() + "#members");
    }
    for (std::string& word : redis::words_of(c)) request->arguments.push_back(std::move(word));
  }
  request->done = [this, id, now, charges = std::move(charges), admit, raw = request.get(),
                   done = std::move(done)](const redisReply* reply) {
    Readings readings;
    const bool read =
        reply != nullptr && guarded("store", [&] { readings = read_answer(*reply, charges, admit, id, *raw, now); });
    if (!read || readings.readings.empty()) guarded("store", [&] { give_back_unseen(*raw, charges, id); });
    done(std::move(readings));
  };
  ask(request);
}

Readings RedisStore::read_answer(const redisReply& reply, const std::vector<Charge>& charges, bool admit,
                                 ReservationId id, const Request& request, Instant now) {
  const auto taking = redis::read_taking(reply, charges.size(), now);
  taking ? health_.recovered()
         : health_.failed("what came is not an answer of the script", std::string(redis::kOnStoreError));
  return taking ? readings_of(*taking, charges, admit, id, request) : Readings{};
}

// What was reserved follows from the readings, as the script has decided.
Readings RedisStore::readings_of(const redis::Taking& taking, const std::vector<Charge>& charges, bool admit,
                                 ReservationId id, const Request& request) {
  Readings result{.readings = taking.readings};
  std::vector<Held> held;
  for (std::size_t i = 0; i < charges.size(); ++i) {
    const Charge& c = charges[i];
    if (!is_charged(charges, result.readings, admit, i)) continue;
    result.counted = result.counted || !c.reserve || result.readings[i]->warn;
    if (!c.reserve) continue;
    const std::size_t first = 4 * i + (taking.renamed[i] ? 2 : 0);
    Held item{.counter = request.keys[first], .members = request.keys[first + 1], .words = redis::words_of(c)};
    item.words.insert(item.words.begin(), fmt::format("r{}-{}.{}", owner_, id, i + 1));
    held.push_back(std::move(item));
  }
  if (held.empty()) return result;
  result.reservation = id;
  const std::lock_guard lock(mutex_);
  held_.emplace(id, std::move(held));
  return result;
}

void RedisStore::settle(std::vector<ReservationId> ids, Settlement settlement, Instant now, Settled done) {
  auto request = settling(ids, settlement, now);
  if (request == nullptr) return done();
  request->done = [this, request = std::weak_ptr(request), done = std::move(done)](const redisReply* reply) {
    if (reply == nullptr) {
      if (const auto unsettled = request.lock()) unconfirmed_.unconfirmed(*unsettled);
    }
    done();
  };
  available() ? ask(request) : asio::post(io_, [request] { request->tell(nullptr); });
  const std::lock_guard lock(mutex_);
  for (const ReservationId id : ids) held_.erase(id);
}

void RedisStore::renew_in_time() {
  renewal_.expires_after(settings_.reservation_timeout / kRenewals);
  renewal_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    renew_in_time();
    renew(unsettled(), {}, [] {});
  });
}

// Where time is the caller's it may have moved by any amount.
bool RedisStore::renewal_is_due(Instant now) {
  if (time_ == Time::server || now - renewed_at_.load() < settings_.reservation_timeout / kRenewals) return false;
  renewed_at_ = now;
  return true;
}

std::vector<ReservationId> RedisStore::unsettled() const {
  std::vector<ReservationId> ids;
  const std::lock_guard lock(mutex_);
  for (const auto& item : held_) ids.push_back(item.first);
  return ids;
}

// A few at a time, the last of `ids` first. Where the server does not answer, the next renewal tries again.
void RedisStore::renew(std::vector<ReservationId> ids, Instant now, const std::function<void()>& then) {
  auto request = std::make_shared<Request>();
  request->deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
  request->arguments = {"renew", time_ == Time::caller ? std::to_string(now.time_since_epoch().count()) : "0",
                        std::to_string(settings_.reservation_timeout.count())};
  {
    const std::lock_guard lock(mutex_);
    for (; !ids.empty() && request->keys.size() < kRenewedAtOnce; ids.pop_back()) {
      const auto it = held_.find(ids.back());
      if (it == held_.end()) continue;
      for (const Held& item : it->second) {
        request->keys.push_back(item.counter);
        request->arguments.push_back(item.words.front());
      }
    }
  }
  if (request->keys.empty()) return then();
  request->done = [this, ids = std::move(ids), now, then](const redisReply* reply) {
    reply == nullptr ? then() : renew(ids, now, then);
  };
  ask(request);
}

void RedisStore::forget(std::vector<std::string> counters, Instant now, Forgotten done) {
  auto request = std::make_shared<Request>();
  request->deadline = deadline_of(now);
  request->arguments = {"forget", time_ == Time::caller ? std::to_string(now.time_since_epoch().count()) : "0"};
  for (const std::string& counter : counters) {
    request->keys.push_back(redis::key_of(settings_.prefix, counter));
    request->keys.push_back(request->keys.back() + "#members");
  }
  request->done = [done = std::move(done)](const redisReply* reply) { done(reply != nullptr); };
  if (available()) return ask(request);
  request->tell(nullptr);
}

// Null where nothing is to be settled.
std::shared_ptr<RedisStore::Request> RedisStore::settling(const std::vector<ReservationId>& ids, Settlement settlement,
                                                          Instant now) {
  auto request = std::make_shared<Request>();
  request->deadline = deadline_of(now);
  request->arguments = {"settle", time_ == Time::caller ? std::to_string(now.time_since_epoch().count()) : "0",
                        settlement == Settlement::keep ? "1" : "0", "0"};
  const std::lock_guard lock(mutex_);
  for (const ReservationId id : ids) {
    const auto it = held_.find(id);
    if (it == held_.end()) continue;
    for (const Held& item : it->second) {
      request->keys.insert(request->keys.end(), {item.counter, item.members});
      request->arguments.insert(request->arguments.end(), item.words.begin(), item.words.end());
    }
  }
  return request->keys.empty() ? nullptr : request;
}

// What was asked may be carried out though no answer has come in time: nobody would settle what is reserved then.
void RedisStore::give_back_unseen(const Request& request, const std::vector<Charge>& charges, ReservationId id) {
  if (request.connection.expired()) return;  // it was not asked
  Request settling{.keys = {}, .arguments = {"settle", request.arguments[1], "0", "1"}, .deadline = {}, .done = {}};
  for (std::size_t i = 0; i < charges.size(); ++i) {
    if (!charges[i].reserve) continue;
    for (const std::size_t name : {4 * i, 4 * i + 2}) {
      if (name > 4 * i && charges[i].was.empty()) continue;
      settling.keys.insert(settling.keys.end(), {request.keys[name], request.keys[name + 1]});
      settling.arguments.push_back(fmt::format("r{}-{}.{}", owner_, id, i + 1));
      for (std::string& word : redis::words_of(charges[i])) settling.arguments.push_back(std::move(word));
    }
  }
  if (!settling.keys.empty()) unconfirmed_.unconfirmed(settling);
}

void RedisStore::note_readiness() {
  const auto ready = std::ranges::count_if(connections_, [](const auto& c) { return c->ready(); });
  ready_ = static_cast<int>(ready);
  if (ready == 0) return;
  if (time_ == Time::server) renew(unsettled(), {}, [] {});
  unconfirmed_.tell_again();
}

std::shared_ptr<redis::Connection> RedisStore::least_busy() const {
  std::shared_ptr<redis::Connection> result;
  for (const auto& connection : connections_) {
    if (connection->ready() && (result == nullptr || connection->load() < result->load())) result = connection;
  }
  return result;
}

// What is returned must be seen by who asks next. All settlements under way are on one connection, and whoever asks for
// a counter of theirs follows them there: with two connections he could follow one and overtake another.
std::shared_ptr<redis::Connection> RedisStore::connection_for(const std::shared_ptr<Request>& request) {
  std::erase_if(settling_, [](const auto& settling) { return settling.expired(); });
  auto connection = least_busy();
  const bool settles = request->settles();
  for (const auto& settling : settling_) {
    const auto before = settling.lock();
    if (before == nullptr || before == request) continue;
    if (!settles && !before->shares_counter(*request)) continue;
    if (const auto same = before->connection.lock(); same && same->ready()) connection = same;
  }
  if (settles) settling_.push_back(request);
  return connection;
}

// What the store's thread posts itself comes behind what others have posted meanwhile, so that whoever is answered
// could overtake what was returned before the answer. Hence a queue.
void RedisStore::ask(const std::shared_ptr<Request>& request) {
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back(request);
  }
  try {
    asio::post(io_, [this] { pass_on_all(); });
  } catch (...) {
    const std::lock_guard lock(mutex_);
    if (std::erase(asked_, request) > 0) throw;  // else somebody has passed it on
  }
}

void RedisStore::pass_on_all() {
  std::vector<std::shared_ptr<Request>> asked;
  {
    const std::lock_guard lock(mutex_);
    asked.swap(asked_);
  }
  for (const auto& request : asked) {
    if (guarded("store", [&] { pass_on(request, false); })) continue;
    guarded("store", [&] { request->tell(nullptr); });
  }
}

void RedisStore::pass_on(const std::shared_ptr<Request>& request, bool whole_script) {
  const auto connection = connection_for(request);
  if (connection == nullptr || request->deadline <= std::chrono::steady_clock::now()) return request->tell(nullptr);
  request->connection = connection;
  const std::int64_t replicas = settings_.wait_replicas;
  const auto patience = std::chrono::duration_cast<std::chrono::milliseconds>(settings_.timeout);
  std::string octets = whole_script
                           ? request->octets("EVAL", redis::script(), replicas, std::to_string(patience.count()))
                           : request->octets("EVALSHA", script_id_, replicas, std::to_string(patience.count()));
  connection->send(std::move(octets), replicas > 0 ? 2 : 1, request->deadline,
                   [this, request, whole_script](std::vector<redis::Reply> replies, const std::string& failure) {
                     answered(request, std::move(replies), failure, whole_script);
                   });
}

void RedisStore::answered(const std::shared_ptr<Request>& request, std::vector<redis::Reply> replies,
                          const std::string& failure, bool whole_script) {
  if (!failure.empty()) {
    heartbeat_.unreachable(failure);
    return request->tell(nullptr);
  }
  const redisReply& reply = *replies.front();
  if (const std::string_view word = redis::error_word(reply); !word.empty()) {
    if (word == "NOSCRIPT" && !whole_script) return pass_on(request, true);
    if (const auto connection = request->connection.lock()) refused(*connection, redis::text_of(reply));
    return request->tell(nullptr);
  }
  if (replies.size() > 1 && replies[1]->integer < settings_.wait_replicas) {
    health_.failed(fmt::format("{} of {} replicas have what was counted", replies[1]->integer, settings_.wait_replicas),
                   std::string(redis::kOnStoreError));
    return request->tell(request->settles() ? &reply : nullptr);  // settled it is
  }
  request->tell(&reply);
}

// An error that concerns the server as a whole sends its connection elsewhere.
void RedisStore::refused(redis::Connection& connection, std::string_view error) {
  const std::string_view word = error.substr(0, error.find(' '));
  const std::string text(error);
  if (word == "MOVED") {
    if (const auto address = redis::moved_to(error)) return connection.redirect(*address);
  }
  constexpr std::array<std::string_view, 6> useless = {"READONLY",   "LOADING",     "NOAUTH",
                                                       "MASTERDOWN", "CLUSTERDOWN", "NOPERM"};
  if (std::ranges::find(useless, word) != useless.end()) connection.give_up(text);
  // Only a decision that succeeds ends it: such a server may answer PING all the same.
  health_.failed(text, std::string(redis::kOnStoreError));
}

}  // namespace replygate
