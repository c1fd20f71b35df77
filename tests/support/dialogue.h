#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "milter/door/wire/dialogue.h"
#include "milter/door/wire/protocol.h"
#include "tests/support/wire.h"
#include "tests/support/world.h"

namespace replygate::test {

using Next = wire::Dialogue::Next;

// One connection of an MTA; what it is told comes back as texts.
class Mta {
 public:
  explicit Mta(World& world, const CurrentPolicy* current = nullptr) : Mta(world, world.gate, current) {}
  Mta(World& world, Gate& gate, const CurrentPolicy* current = nullptr)
      : services_{world.policy, gate, world.records, world.references, clock_, traffic, times_, nullptr, current},
        dialogue_(services_, [this] { answered = true; }) {}

  std::vector<Heard> hear(std::string_view octets) {
    std::string out;
    while (!octets.empty()) {
      const wire::Framed framed = wire::next_packet(octets, std::size_t{1} << 20U);
      next = dialogue_.take(framed.packet, out);
      octets.remove_prefix(framed.size);
      if (next != Next::read) break;
    }
    return packets_in(out);
  }
  // The one answer to the last packet; "" for none.
  std::string say(std::string_view octets) {
    const auto heard = hear(octets);
    return heard.empty() ? "" : heard.back().text();
  }
  std::string resume() {
    std::string out;
    next = dialogue_.resume(out);
    return packets_in(out).at(0).text();
  }
  // Negotiates so that each event is answered, and opens a session.
  Mta& begin(std::string_view ip = "192.0.2.1") {
    hear(negotiation(6, 0x1ff, 0));
    hear(connect_packet(ip));
    hear(helo_packet());
    return *this;
  }
  wire::Dialogue& dialogue() { return dialogue_; }

  Traffic traffic;
  Next next = Next::read;
  bool answered = false;

 private:
  DecisionTimes times_;
  Clock clock_;
  DoorServices services_;
  wire::Dialogue dialogue_;
};

inline boost::json::object last_record(const World& world) {
  return world.records.json.empty() ? boost::json::object() : boost::json::parse(world.records.json.back()).as_object();
}

}  // namespace replygate::test
