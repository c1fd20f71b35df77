#include "milter/store/redis_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <random>
#include <utility>

#include "milter/files.h"
#include "milter/store/redis_script.h"
#include "policy/count/admission.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

namespace asio = boost::asio;

constexpr std::string_view kConsequence = "on_store_error of each rule decides";
constexpr std::size_t kMostUnsettled = 100'000;

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

// "MOVED 3999 192.0.2.1:6381".
std::optional<SocketAddress> moved_to(std::string_view error) {
  const std::vector<std::string_view> words = split(error, ' ');
  if (words.size() != 3) return std::nullopt;
  const std::size_t colon = words[2].rfind(':');
  if (colon == std::string_view::npos || colon == 0) return std::nullopt;
  const std::string_view host = words[2].substr(0, colon);
  const bool v6 = host.find(':') != std::string_view::npos;
  return SocketAddress::parse_server(fmt::format("{}:{}@{}", v6 ? "inet6" : "inet", words[2].substr(colon + 1), host));
}

}  // namespace

// One call of the script.
struct RedisStore::Request {
  std::vector<std::string> keys;
  std::vector<std::string> arguments;
  redis::Connection::Time deadline;
  std::function<void(const redisReply*)> done;  // null: no answer
  std::weak_ptr<redis::Connection> connection = {};

  std::string octets(std::string_view verb, std::string_view script, std::int64_t replicas, std::string_view patience) {
    const std::string count = std::to_string(keys.size());
    std::vector<std::string_view> words = {verb, script, count};
    words.insert(words.end(), keys.begin(), keys.end());
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::string result = redis::command(words);
    if (replicas > 0) result += redis::command({"WAIT", std::to_string(replicas), patience});
    return result;
  }
};

RedisStore::RedisStore(const StoreSettings& settings, const Clock& clock, StoreHealth& health, Time time)
    : settings_(settings),
      clock_(clock),
      health_(health),
      time_(time),
      owner_(random_name()),
      options_{.user = settings.user, .password = "", .tls = settings.tls, .script = std::string(redis::script())},
      script_id_(redis::script_id()),
      io_(1),
      servers_(addresses_of(settings.servers)) {}

tl::expected<std::unique_ptr<RedisStore>, std::string> RedisStore::open(const StoreSettings& settings,
                                                                        const Clock& clock, StoreHealth& health,
                                                                        Time time) {
  std::unique_ptr<RedisStore> store(new RedisStore(settings, clock, health, time));
  if (auto ready = store->prepare(); !ready) return tl::unexpected(ready.error());
  store->thread_ = std::thread([raw = store.get()] { raw->run(); });
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
        redis::Connection::Events{[this](const std::string& why) { health_.failed(why, std::string(kConsequence)); },
                                  [this] { note_readiness(); }}));
  }
  return {};
}

void RedisStore::run() {
  const auto guard = asio::make_work_guard(io_);
  for (const auto& connection : connections_) connection->start();
  io_.run();
}

RedisStore::~RedisStore() {
  asio::post(io_, [this] {
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
    const auto taking = reply == nullptr ? std::nullopt : redis::read_taking(*reply, charges.size(), now);
    if (reply != nullptr && !taking) health_.failed("what came is no answer of the script", std::string(kConsequence));
    if (!taking) return done({});
    health_.recovered();
    done(readings_of(*taking, charges, admit, id, *raw));
  };
  ask(std::move(request));
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
      if (auto unsettled = request.lock()) settle_later(*unsettled);
    }
    done();
  };
  if (available()) return ask(std::move(request));
  asio::post(io_, [request] { request->done(nullptr); });
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
  if (available()) return ask(std::move(request));
  request->done(nullptr);
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
    for (Held& item : it->second) {
      request->keys.push_back(std::move(item.counter));
      request->keys.push_back(std::move(item.members));
      for (std::string& word : item.words) request->arguments.push_back(std::move(word));
    }
    held_.erase(it);
  }
  return request->keys.empty() ? nullptr : request;
}

// The first attempt may have been heard: only what is still reserved is settled by a later one.
void RedisStore::settle_later(const Request& request) {
  if (unsettled_.size() >= kMostUnsettled) return;  // the server gives it back at its deadline
  auto again = std::make_shared<Request>(
      Request{.keys = request.keys, .arguments = request.arguments, .deadline = {}, .done = {}});
  again->arguments[3] = "1";
  unsettled_.push_back(std::move(again));
}

void RedisStore::note_readiness() {
  const auto ready = std::ranges::count_if(connections_, [](const auto& c) { return c->ready(); });
  ready_ = static_cast<int>(ready);
  if (ready == 0) return;
  for (const auto& request : std::exchange(unsettled_, {})) {
    request->deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    request->done = [this, weak = std::weak_ptr(request)](const redisReply* reply) {
      if (const auto same = weak.lock(); same && reply == nullptr) settle_later(*same);
    };
    pass_on(request, false);
  }
}

std::shared_ptr<redis::Connection> RedisStore::least_busy() const {
  std::shared_ptr<redis::Connection> result;
  for (const auto& connection : connections_) {
    if (connection->ready() && (result == nullptr || connection->load() < result->load())) result = connection;
  }
  return result;
}

void RedisStore::ask(std::shared_ptr<Request> request) {
  asio::post(io_, [this, request = std::move(request)] { pass_on(request, false); });
}

void RedisStore::pass_on(const std::shared_ptr<Request>& request, bool whole_script) {
  const auto connection = least_busy();
  if (connection == nullptr || request->deadline <= std::chrono::steady_clock::now()) return request->done(nullptr);
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
    health_.failed(failure, std::string(kConsequence));
    return request->done(nullptr);
  }
  const redisReply& reply = *replies.front();
  if (const std::string_view word = redis::error_word(reply); !word.empty()) {
    if (word == "NOSCRIPT" && !whole_script) return pass_on(request, true);
    if (const auto connection = request->connection.lock()) refused(*connection, redis::text_of(reply));
    return request->done(nullptr);
  }
  if (replies.size() > 1 && replies[1]->integer < settings_.wait_replicas) {
    health_.failed(fmt::format("{} of {} replicas have what was counted", replies[1]->integer, settings_.wait_replicas),
                   std::string(kConsequence));
    return request->done(nullptr);
  }
  request->done(&reply);
}

// An error that concerns the server as a whole sends its connection elsewhere.
void RedisStore::refused(redis::Connection& connection, std::string_view error) {
  const std::string_view word = error.substr(0, error.find(' '));
  const std::string text(error);
  if (word == "MOVED") {
    if (const auto address = moved_to(error)) return connection.redirect(*address);
  }
  constexpr std::array<std::string_view, 6> useless = {"READONLY",   "LOADING",     "NOAUTH",
                                                       "MASTERDOWN", "CLUSTERDOWN", "NOPERM"};
  if (std::ranges::find(useless, word) != useless.end()) return connection.give_up(text);
  health_.failed(text, std::string(kConsequence));
}

}  // namespace replygate
