#include "milter/net/stream_server.h"

#include "milter/guarded.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

namespace asio = boost::asio;
using Error = boost::system::error_code;

constexpr std::chrono::milliseconds kAcceptPause{200};  // behind an error: mostly it is for want of descriptors
constexpr std::chrono::milliseconds kTurnedAway{2};     // behind a client without room: a flood of them costs little
constexpr std::chrono::milliseconds kServerNameLook{500};

}  // namespace

StreamClient::StreamClient(StreamSocket socket, StreamServer& server)
    : socket_(std::move(socket)), server_(server), deadline_(server.io()) {}

void StreamClient::give(std::chrono::milliseconds patience) {
  deadline_.expires_after(patience);
  deadline_.async_wait([weak = weak_from_this()](Error cancelled) {
    const auto self = weak.lock();
    const bool over = self != nullptr && self->deadline_.expiry() <= std::chrono::steady_clock::now();
    if (!cancelled && over) self->close();
  });
}

void StreamClient::give_all_time() { deadline_.expires_at(asio::steady_timer::time_point::max()); }

void StreamClient::served() { server_.clients_.splice(server_.clients_.end(), server_.clients_, place_); }

void StreamClient::close() {
  if (!is_open()) return;
  const auto self = shared_from_this();
  deadline_.cancel();
  closing();
  Error ignored;
  socket_.close(ignored);
  server_.clients_.erase(place_);
}

tl::expected<std::unique_ptr<StreamServer>, std::string> StreamServer::open(Plan plan) {
  std::unique_ptr<StreamServer> server(new StreamServer(std::move(plan)));
  auto acceptor = listen_on(server->io_, server->plan_.address);
  if (!acceptor) return tl::unexpected(std::move(acceptor.error()));
  server->acceptor_.emplace(*std::move(acceptor));
  server->name_ = SocketName(server->plan_.address);
  return server;
}

void StreamServer::start() {
  accept();
  look_later();
  thread_ = std::thread([this] {
    name_thread("server");
    run_guarded(io_, plan_.address.text());
  });
}

void StreamServer::look_later() {
  if (!name_.exists()) return;
  look_.expires_after(kServerNameLook);
  look_.async_wait([this](Error cancelled) {
    if (cancelled || !acceptor_->is_open()) return;
    guarded(plan_.address.text(), [this] { look_at_name(); });
    look_later();
  });
}

// The accept under way is ended, so that the next one is at the new socket.
void StreamServer::look_at_name() {
  auto again = name_.restore(io_);
  if (plan_.troubles != nullptr) plan_.troubles->tell(plan_.address.text(), {again ? "" : again.error()});
  if (!again || !*again) return;
  fresh_ = *std::move(again);
  acceptor_->cancel();
}

void StreamServer::accept() {
  if (fresh_) acceptor_ = std::exchange(fresh_, std::nullopt);
  acceptor_->async_accept([this](Error error, StreamSocket socket) {
    if (!acceptor_->is_open()) return;
    if (error == asio::error::operation_aborted) return fresh_ ? accept() : void();
    if (error) return accept_after(kAcceptPause);
    bool served = false;
    guarded(plan_.address.text(), [&] { served = serve(std::move(socket)); });
    served ? accept() : accept_after(kTurnedAway);
  });
}

void StreamServer::accept_after(std::chrono::milliseconds pause) {
  pause_.expires_after(pause);
  pause_.async_wait([this](Error cancelled) {
    if (!cancelled && acceptor_->is_open()) accept();
  });
}

bool StreamServer::serve(StreamSocket socket) {
  if (clients_.size() >= plan_.most) {
    plan_.crowded();
    if (!plan_.oldest_makes_room) return false;
    clients_.front()->close();
  }
  const auto client = plan_.welcome(std::move(socket), *this);
  client->place_ = clients_.insert(clients_.end(), client);
  if (!guarded(plan_.address.text(), [&] { client->start(); })) client->close();
  return true;
}

void StreamServer::close_all() {
  while (!clients_.empty()) clients_.front()->close();
}

void StreamServer::stop() {
  if (!thread_.joinable()) return;
  plan_.ending();
  asio::post(io_, [this] {
    Error ignored;
    name_.remove();  // first: once nobody listens any more a successor may have taken it
    fresh_.reset();
    acceptor_->close(ignored);
    pause_.cancel();
    look_.cancel();
    close_all();
    guard_.reset();
  });
  thread_.join();
}

}  // namespace replygate
