#include "tests/fault/faulty_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <system_error>

namespace replygate::test {
namespace {

constexpr std::string_view kGarbage = "\x01\x02 garbage\r\n\r\n\n\n";

bool send_all(int peer, std::string_view octets) {
  while (!octets.empty()) {
    const ssize_t sent = ::send(peer, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    octets.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

}  // namespace

std::string_view name_of(PeerFault fault) {
  constexpr std::array<std::string_view, 7> kNames = {"late",   "cut",     "doubled",    "garbage",
                                                      "closed", "unheard", "closed idle"};
  return kNames.at(static_cast<std::size_t>(fault));
}

FaultyPeer::FaultyPeer(int listener, Begin begin)
    : listener_(listener), begin_(std::move(begin)), accepting_([this] { accept(); }) {}

FaultyPeer::~FaultyPeer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  ::shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  hang_up();
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

void FaultyPeer::spoil(PeerFault fault, long first, long count, std::chrono::milliseconds delay) {
  {
    const std::lock_guard lock(mutex_);
    fault_ = fault;
    first_ = answers_ + first;
    last_ = first_ + count;
    delay_ = delay;
    spoilt_ = false;
    ++plans_;
  }
  wake_.notify_all();
}

void FaultyPeer::hang_up() {
  const std::lock_guard lock(mutex_);
  for (const int peer : peers_) ::shutdown(peer, SHUT_RDWR);
}

long FaultyPeer::answers() const {
  const std::lock_guard lock(mutex_);
  return answers_;
}

bool FaultyPeer::spoilt() const {
  const std::lock_guard lock(mutex_);
  return spoilt_;
}

void FaultyPeer::accept() {
  for (int peer = 0; (peer = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
    const std::lock_guard lock(mutex_);
    peers_.insert(peer);
    threads_.emplace_back([this, peer] { serve(peer); });
  }
}

void FaultyPeer::serve(int peer) {
  const auto conversation = begin_();
  std::string in;
  const std::string greeting = conversation->greeting();
  bool open = greeting.empty() || deliver(peer, greeting);
  std::array<char, 65536> part{};
  while (open) {
    const ssize_t size = ::recv(peer, part.data(), part.size(), 0);
    if (size <= 0) break;
    in.append(part.data(), static_cast<std::size_t>(size));
    open = talk(peer, *conversation, in);
  }
  const std::lock_guard lock(mutex_);
  peers_.erase(peer);
  ::close(peer);
}

bool FaultyPeer::talk(int peer, Conversation& conversation, std::string& in) {
  while (!in.empty()) {
    {
      const std::lock_guard lock(mutex_);
      if (fault_at(answers_ + 1) == PeerFault::unheard) {
        ++answers_;
        return false;
      }
    }
    const auto answer = conversation.answer(in);
    if (!answer) return true;
    if (!answer->empty() && !deliver(peer, *answer)) return false;
  }
  return true;
}

std::optional<PeerFault> FaultyPeer::fault_at(long number) {
  if (number < first_ || number >= last_) return std::nullopt;
  spoilt_ = true;
  return fault_;
}

// False where the connection has ended meanwhile, for all that it matters.
bool FaultyPeer::wait() {
  std::unique_lock lock(mutex_);
  const long plan = plans_;
  wake_.wait_for(lock, delay_, [&] { return stopping_ || plans_ != plan; });
  return !stopping_;
}

bool FaultyPeer::deliver(int peer, const std::string& answer) {
  std::optional<PeerFault> fault;
  {
    const std::lock_guard lock(mutex_);
    fault = fault_at(++answers_);
  }
  if (!fault) return send_all(peer, answer);
  switch (*fault) {
    case PeerFault::late: return wait() && send_all(peer, answer);
    case PeerFault::cut: send_all(peer, std::string_view(answer).substr(0, answer.size() / 2)); return false;
    case PeerFault::doubled: return send_all(peer, answer + answer);
    case PeerFault::garbage: return send_all(peer, kGarbage);
    case PeerFault::closed:
    case PeerFault::unheard: return false;
    case PeerFault::idle: send_all(peer, answer); return false;
  }
  return false;
}

ListeningPort listen_tcp() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  auto* address = reinterpret_cast<sockaddr*>(&name);
  if (::bind(descriptor, address, size) != 0 || ::listen(descriptor, 100) != 0 ||
      ::getsockname(descriptor, address, &size) != 0) {
    throw std::system_error(errno, std::generic_category(), "a port");
  }
  return {descriptor, ntohs(name.sin_port)};
}

}  // namespace replygate::test
