// What the milter protocol costs by itself: a filter on epoll, of one thread, that accepts everything. All packets that
// came at once are answered at once: a recv and, where a reply is due, a send.
//   bare_filter PATH STEPS    a Unix socket, and the protocol flags (SMFIP_*) to ask for

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <string_view>

#include "milter/door/wire/packet.h"
#include "tests/support/wire.h"

namespace {

using namespace replygate;

constexpr std::size_t kMostOctets = 1U << 20U;
constexpr int kMostEvents = 64;

struct Peer {
  int descriptor;
  std::uint32_t steps = 0;
  std::string begun;  // of a packet whose end has not come
};

// Appends what the packet is answered with; false at the end of the session.
bool answer(Peer& peer, const wire::Packet& packet, std::uint32_t wished, std::string& out) {
  switch (packet.command) {
    case 'O':
      peer.steps = wished & wire::read_u32(packet.data.substr(8));
      out += test::negotiation(wire::kVersion, 0, peer.steps);
      return true;
    case 'Q': return false;
    case 'A':
    case 'D':
    case 'K': return true;
    default:
      if (wire::wants_reply(static_cast<wire::Command>(packet.command), peer.steps)) wire::append_packet(out, 'c');
      return true;
  }
}

// False where the connection is at its end.
bool serve(Peer& peer, std::uint32_t wished) {
  static std::array<char, 65536> octets;
  static std::string out;
  const ssize_t size = ::recv(peer.descriptor, octets.data(), octets.size(), 0);
  if (size <= 0) return false;
  std::string_view rest(octets.data(), static_cast<std::size_t>(size));
  if (!peer.begun.empty()) rest = peer.begun.append(rest);
  out.clear();
  for (;;) {
    const wire::Framed framed = wire::next_packet(rest, kMostOctets);
    if (framed.kind == wire::Framed::Kind::incomplete) break;
    if (framed.kind != wire::Framed::Kind::packet || !answer(peer, framed.packet, wished, out)) return false;
    rest.remove_prefix(framed.size);
  }
  peer.begun = std::string(rest);
  return out.empty() ||
         ::send(peer.descriptor, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
}

void watch(int poll, int descriptor, void* who) {
  epoll_event event{.events = EPOLLIN, .data = {.ptr = who}};
  ::epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: bare_filter PATH STEPS\n", stderr);
    return 64;
  }
  const auto wished = static_cast<std::uint32_t>(std::strtoul(argv[2], nullptr, 0));
  const int door = test::listen_unix(argv[1]);
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  watch(poll, door, nullptr);
  std::array<epoll_event, kMostEvents> events{};
  for (;;) {
    const int count = ::epoll_wait(poll, events.data(), kMostEvents, -1);
    for (int i = 0; i < count; ++i) {
      auto* peer = static_cast<Peer*>(events.at(static_cast<std::size_t>(i)).data.ptr);
      if (peer == nullptr) {
        const int descriptor = ::accept4(door, nullptr, nullptr, SOCK_CLOEXEC);
        if (descriptor >= 0) watch(poll, descriptor, std::make_unique<Peer>(Peer{.descriptor = descriptor}).release());
      } else if (!serve(*peer, wished)) {
        ::close(peer->descriptor);
        delete peer;
      }
    }
  }
}
