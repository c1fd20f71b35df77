#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "milter/door/wire/packet.h"

namespace replygate::test {

// The MTA's side of one SMTP session after another: which packets come next, as the negotiation asks for. Does no I/O.
class MtaSession {
 public:
  struct Plan {
    std::int64_t messages = 1;
    std::int64_t recipients = 1;
    std::int64_t senders = 100'000;
    bool together = false;  // what gets no reply goes out with what follows, so that the filter's reads are known
  };

  struct Step {
    std::string_view octets;  // macros and command, until the next call; none after the end of the session
    bool waits = false;       // for a reply
  };

  struct Heard {
    bool refused = false;
    bool transaction_ended = false;
  };

  explicit MtaSession(std::uint64_t seed = 0) : random_(seed * 0x9e3779b97f4a7c15U + 1) {}

  void begin(const Plan& plan);  // the plan must stay
  Step next();
  Heard hear(const wire::Packet& reply, bool last);  // last: the session ends with this transaction
  bool at_end() const { return place_ >= Place::quit; }

 private:
  enum class Place : std::uint8_t {
    negotiate,
    connect,
    helo,
    mail,
    rcpt,
    data,
    header,
    end_of_headers,
    body,
    end_of_message,
    quit,
    over
  };

  void append();   // what is sent at this place
  void advance();  // to the next one
  bool sent_here() const;
  bool waits_here() const;

  const Plan* plan_ = nullptr;
  Place place_ = Place::negotiate;
  std::int64_t message_ = 0;
  std::int64_t recipient_ = 0;
  std::uint32_t steps_ = 0;
  std::uint64_t random_;
  std::string out_;
};

}  // namespace replygate::test
