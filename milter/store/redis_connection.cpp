#include "milter/store/redis_connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "milter/guarded.h"
#include "policy/mail/ip.h"

namespace replygate::redis {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::milliseconds kReconnectPause{250};  // between two attempts to connect
constexpr std::chrono::milliseconds kHandshake{1000};      // from connecting to being ready

// Whoever throws at his answer costs nobody else his.
void tell(const Connection::Answered& answered, std::vector<Reply> replies, const std::string& failure) {
  guarded("store", [&] { answered(std::move(replies), failure); });
}

}  // namespace

void Servers::leave(const SocketAddress& failed) {
  if (current() == failed) current_ = (current_ + 1) % all_.size();
}

void Servers::go_to(SocketAddress address) {
  const auto known = std::ranges::find(all_, address);
  current_ = static_cast<std::size_t>(known - all_.begin());
  if (known == all_.end()) all_.push_back(std::move(address));
}

Connection::Connection(asio::io_context& io, Servers& servers, const Options& options, asio::ssl::context* tls,
                       Events events)
    : io_(io),
      servers_(servers),
      options_(options),
      tls_context_(tls),
      events_(std::move(events)),
      resolver_(io),
      link_(std::make_shared<Link>(io)),
      retry_(io),
      deadline_(io) {}

// What fails in the middle leaves nobody knows what in flight: the connection is made anew. That must not fail for want
// of memory at one moment.
template <typename Step>
void Connection::guard(Step step) {
  if (guarded("store", step)) return;
  const auto begin_anew = [this] { down("internal error", false); };
  if (!guarded("store", begin_anew)) guarded("store", begin_anew);
}

// A handler that does nothing for a socket that is gone.
template <typename Handler>
auto Connection::bound(Handler handler) {
  return [self = shared_from_this(), link = link_, handler = std::move(handler)](const Error& error, auto&&... rest) {
    if (link != self->link_ || self->state_ == State::stopped) return;
    self->guard([&] { handler(error, std::forward<decltype(rest)>(rest)...); });
  };
}

void Connection::connect() {
  state_ = State::connecting;
  server_ = servers_.current();
  retry_.expires_after(kHandshake);
  retry_.async_wait(bound([this](const Error& error) {
    if (!error) down("no answer in time", true);
  }));
  net::resolve(resolver_, server_, bound([this](const Error& error, std::vector<StreamEndpoint> addresses) {
                 if (error) return down(error.message(), true);
                 connect_to(std::move(addresses));
               }));
}

void Connection::connect_to(std::vector<StreamEndpoint> addresses) {
  net::connect(link_->socket, std::move(addresses), bound([this](const Error& error) {
                 if (error) return down(error.message(), true);
                 Error ignored;
                 if (server_.family != SocketAddress::Family::unix_path) {
                   link_->socket.set_option(asio::ip::tcp::no_delay(true), ignored);
                 }
                 if (tls_context_ == nullptr) return greet();
                 shake_hands();
               }));
}

void Connection::shake_hands() {
  link_->tls = std::make_unique<net::TlsStream>(link_->socket, *tls_context_, server_.host);
  link_->tls->handshake(bound([this](const Error& error) {
    if (error) return down("TLS: " + error.message(), true);
    greet();
  }));
}

// Who we are, whether this is a primary, and the script, in one round trip.
void Connection::greet() {
  state_ = State::greeting;
  read();
  std::string octets;
  std::size_t commands = 2;
  if (!options_.password.empty()) {
    octets += options_.user.empty() ? command({"AUTH", options_.password})
                                    : command({"AUTH", options_.user, options_.password});
    ++commands;
  }
  octets += command({"ROLE"});
  octets += command({"SCRIPT", "LOAD", options_.script});
  flying_.push_front({std::move(octets), commands, std::chrono::steady_clock::now() + kHandshake,
                      [this](const std::vector<Reply>& replies, const std::string& failure) {
                        if (failure.empty()) greeted(replies);
                      }});
  link_->out = flying_.front().octets;
  write();
}

void Connection::greeted(const std::vector<Reply>& replies) {
  for (const Reply& reply : replies) {
    if (const std::string_view word = error_word(*reply); !word.empty()) {
      // A server that does not know a command repeats its arguments, of AUTH the password.
      const std::string_view text = text_of(*reply);
      return down(std::string(text.substr(0, text.find(", with args"))), true);
    }
  }
  const redisReply& role = *replies[replies.size() - 2];
  if (role.type != REDIS_REPLY_ARRAY || role.elements == 0 || text_of(*role.element[0]) != "master") {
    return down("is a replica", true);
  }
  state_ = State::ready;
  retry_.cancel();
  tell_readiness();
  write();
}

void Connection::stop() {
  down("", false);
  state_ = State::stopped;
  retry_.cancel();
  deadline_.cancel();
}

void Connection::give_up(const std::string& why) {
  served_ = false;
  if (ready()) down(why, true);
}

void Connection::redirect(const SocketAddress& address) {
  served_ = false;
  servers_.go_to(address);
  if (ready()) down("the counters have moved", false);
}

void Connection::down(const std::string& why, bool next_server) {
  if (state_ == State::stopped) return;
  state_ = State::down;
  Error ignored;
  link_->socket.close(ignored);
  link_ = std::make_shared<Link>(io_);
  resolver_.cancel();
  writing_ = false;
  unanswered_ = 0;
  if (next_server) servers_.leave(server_);
  const std::string reason = fmt::format("{}: {}", server_.text(), why.empty() ? "this replygate ends" : why);
  if (!why.empty()) events_.failed(reason);
  // One that has served and was cut is made again at once.
  retry_.expires_after(served_ ? std::chrono::milliseconds(0) : kReconnectPause);
  retry_.async_wait(bound([this](const Error& error) {
    if (!error) connect();
  }));
  served_ = false;
  tell_readiness();
  auto flying = std::exchange(flying_, {});
  auto waiting = std::exchange(waiting_, {});
  for (auto* requests : {&flying, &waiting}) {
    for (Request& request : *requests) {
      if (request.answered) tell(request.answered, {}, reason);
    }
  }
}

void Connection::tell_readiness() {
  if (std::exchange(told_ready_, ready()) != ready()) events_.changed();
}

void Connection::send(std::string octets, std::size_t commands, Time deadline, Answered answered) {
  waiting_.push_back({std::move(octets), commands, deadline, std::move(answered)});
  guard([this, deadline] {
    wake_by(deadline);
    write_soon();
  });
}

// What is asked in one go is written in one go.
void Connection::write_soon() {
  if (writing_ || write_posted_) return;
  asio::post(io_, [self = shared_from_this()] {
    self->write_posted_ = false;
    self->guard([&self] { self->write(); });
  });
  write_posted_ = true;
}

void Connection::write() {
  if (writing_ || (state_ != State::ready && state_ != State::greeting)) return;
  while (state_ == State::ready && flying_.size() < kInFlight && !waiting_.empty()) {
    flying_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
    link_->out += flying_.back().octets;
  }
  if (link_->out.empty()) return;
  writing_ = true;
  const auto done = bound([this](const Error& error, std::size_t) {
    if (error) return down(error.message(), false);
    writing_ = false;
    link_->out.clear();
    write();
  });
  if (link_->tls) {
    link_->tls->write(link_->out, done);
  } else {
    net::write(link_->socket, link_->out, done);
  }
}

void Connection::read() {
  const auto done = bound([this](const Error& error, std::size_t size) { received(error, size); });
  if (link_->tls) {
    link_->tls->read_some(link_->in, done);
  } else {
    net::read_some(link_->socket, link_->in, done);
  }
}

// Where what has come cannot be taken the connection is made anew: nothing else would read on.
void Connection::received(const Error& error, std::size_t size) {
  if (error) return down(error.message(), false);
  const auto link = link_;
  const bool well = guarded("store", [&] { take_replies(size); });
  if (link != link_ || state_ == State::stopped) return;
  if (!well) return down("an answer could not be taken", false);
  write();
  read();
}

void Connection::take_replies(std::size_t size) {
  link_->reader.feed(link_->in.data(), size);
  for (const auto link = link_;;) {
    auto reply = link->reader.next();
    if (!reply) return down("what came is not a Redis reply", true);
    if (*reply == nullptr) break;
    if (flying_.empty()) return down("a reply that nobody asked for", true);
    take_reply(*std::move(reply));
    if (link != link_) return;
  }
}

void Connection::take_reply(Reply reply) {
  Request& oldest = flying_.front();
  oldest.replies.push_back(std::move(reply));
  if (oldest.replies.size() < oldest.commands) return;
  Request request = std::move(oldest);
  flying_.pop_front();
  if (!request.answered) {
    --unanswered_;
    return;
  }
  served_ = ready();
  tell(request.answered, std::move(request.replies), "");
}

// A settlement has more time than a decision that came behind it.
void Connection::watch() {
  Time next = Time::max();
  for (const auto* requests : {&flying_, &waiting_}) {
    for (const Request& r : *requests) next = r.answered ? std::min(next, r.deadline) : next;
  }
  if (next != Time::max()) wake_by(next);
}

// Where all is answered in time the timer finds nothing to do, which costs less than looking for the next deadline at
// each answer.
void Connection::wake_by(Time deadline) {
  if (wake_ <= deadline) return;
  wake_ = Time::max();
  deadline_.expires_at(deadline);
  deadline_.async_wait([self = shared_from_this()](const Error& error) {
    if (error || self->state_ == State::stopped) return;
    self->wake_ = Time::max();
    self->guard([&] { self->expire(); });
  });
  wake_ = deadline;
}

void Connection::expire() {
  const Time now = std::chrono::steady_clock::now();
  std::vector<Answered> late;
  for (Request& request : flying_) {
    if (!request.answered || request.deadline > now) continue;
    late.push_back(std::exchange(request.answered, nullptr));
    ++unanswered_;
  }
  for (Request& request : waiting_) {
    if (request.deadline <= now) late.push_back(std::move(request.answered));
  }
  std::erase_if(waiting_, [now](const Request& request) { return request.deadline <= now; });
  const std::string reason = fmt::format("{}: no answer in time", server_.text());
  if (unanswered_ >= kInFlight) {
    down("no answer in time", true);
  } else {
    watch();
  }
  for (const Answered& answered : late) tell(answered, {}, reason);
}

}  // namespace replygate::redis
