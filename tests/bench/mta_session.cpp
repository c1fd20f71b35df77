#include "tests/bench/mta_session.h"

#include <fmt/format.h>

#include <iterator>
#include <stdexcept>

#include "milter/door/wire/protocol.h"
#include "tests/support/wire.h"

namespace replygate::test {
namespace {

// Whether an MTA that negotiated these steps sends the event.
constexpr bool is_sent(std::uint32_t steps, char command) {
  switch (command) {
    case 'T': return (steps & wire::kNoData) == 0;
    case 'L': return (steps & wire::kNoHeaders) == 0;
    case 'N': return (steps & wire::kNoEndOfHeaders) == 0;
    case 'B': return (steps & wire::kNoBody) == 0;
    default: return true;
  }
}

constexpr std::uint32_t kAllSteps = 0x1fffff;

// What Postfix sends for each place, with the macros that the default policy asks for. The same to every filter.
struct Packets {
  std::string negotiate = negotiation();
  std::string connect =
      macros_packet('C', {"{daemon_name}", "mx.example.com", "{daemon_addr}", "192.0.2.25", "{daemon_port}", "25"}) +
      connect_packet("198.51.100.7");
  std::string helo = macros_packet('H', {}) + helo_packet();
  std::string data = macros_packet('T', {"i", "4F2B31C0A7"}) + packet('T');
  std::string header = header_packet("Subject", "Minutes of the meeting");
  std::string end_of_headers = macros_packet('N', {"i", "4F2B31C0A7"}) + packet('N');
  std::string body = packet('B', std::string(1000, 'x'));
  std::string end_of_message = macros_packet('E', {"i", "4F2B31C0A7"}) + packet('E');
  std::string quit = packet('Q');
};

const Packets& packets() {
  static const Packets made;
  return made;
}

// What is sent at each place of a session; '\0' after its end.
char command_at(auto place) { return "OCHMRTLNBEQ"[static_cast<std::size_t>(place)]; }

void append_with_macros(std::string& out, char command, std::initializer_list<std::string_view> macros,
                        std::string_view data) {
  const auto append_strings = [&](std::initializer_list<std::string_view> texts) {
    for (const std::string_view text : texts) out.append(text).push_back('\0');
  };
  const std::size_t begin = out.size();
  wire::append_packet(out, 'D', std::string_view(&command, 1));
  append_strings(macros);
  const std::size_t size = out.size() - begin - 4;
  for (std::size_t i = 0; i < 4; ++i) out[begin + i] = static_cast<char>(size >> (24 - 8 * i));
  wire::append_packet(out, command, data);
}

}  // namespace

void MtaSession::begin(const Plan& plan) {
  plan_ = &plan;
  place_ = Place::negotiate;
  message_ = 0;
  recipient_ = 0;
}

MtaSession::Step MtaSession::next() {
  out_.clear();
  for (;;) {
    while (!sent_here()) advance();
    if (place_ == Place::over) return {out_, false};
    append();
    const bool waits = waits_here();
    if (!waits) advance();
    if (waits || place_ == Place::over || !plan_->together) return {out_, waits};
  }
}

MtaSession::Heard MtaSession::hear(const wire::Packet& reply, bool last) {
  Heard heard;
  if (place_ == Place::over) throw std::runtime_error("a reply to nothing");
  if (place_ == Place::negotiate) {
    if (reply.command != 'O' || reply.data.size() < 12) throw std::runtime_error("no answer to the negotiation");
    steps_ = wire::read_u32(reply.data.substr(8)) & kAllSteps;
  } else if (reply.command != 'c' && (reply.command != 'a' || place_ != Place::end_of_message)) {
    heard.refused = true;
  }
  heard.transaction_ended = place_ == Place::end_of_message;
  advance();
  if (heard.transaction_ended && last) place_ = Place::quit;
  return heard;
}

bool MtaSession::sent_here() const { return is_sent(steps_, command_at(place_)); }

bool MtaSession::waits_here() const {
  return wire::wants_reply(static_cast<wire::Command>(command_at(place_)), steps_);
}

void MtaSession::append() {
  switch (place_) {
    case Place::negotiate: out_ += packets().negotiate; break;
    case Place::connect: out_ += packets().connect; break;
    case Place::helo: out_ += packets().helo; break;
    case Place::mail: {
      random_ = random_ * 6364136223846793005U + 1442695040888963407U;
      fmt::memory_buffer address;
      fmt::format_to(std::back_inserter(address), "<user{:06}@sender.example.net>",
                     (random_ >> 33U) % static_cast<std::uint64_t>(plan_->senders));
      address.push_back('\0');
      const std::string_view text(address.data(), address.size());
      append_with_macros(out_, 'M', {"{mail_addr}", text.substr(1, text.size() - 3)}, text);
      break;
    }
    case Place::rcpt: {
      fmt::memory_buffer address;
      fmt::format_to(std::back_inserter(address), "<user{}@example.com>", recipient_);
      address.push_back('\0');
      const std::string_view text(address.data(), address.size());
      append_with_macros(
          out_, 'R',
          {"{rcpt_mailer}", "local", "{rcpt_host}", "mx.example.com", "{rcpt_addr}", text.substr(1, text.size() - 3)},
          text);
      break;
    }
    case Place::data: out_ += packets().data; break;
    case Place::header: out_ += packets().header; break;
    case Place::end_of_headers: out_ += packets().end_of_headers; break;
    case Place::body: out_ += packets().body; break;
    case Place::end_of_message: out_ += packets().end_of_message; break;
    case Place::quit: out_ += packets().quit; break;
    case Place::over: break;
  }
}

void MtaSession::advance() {
  switch (place_) {
    case Place::mail:
      recipient_ = 0;
      place_ = Place::rcpt;
      break;
    case Place::rcpt: place_ = ++recipient_ < plan_->recipients ? Place::rcpt : Place::data; break;
    case Place::end_of_message: place_ = ++message_ < plan_->messages ? Place::mail : Place::quit; break;
    case Place::over: break;
    default: place_ = static_cast<Place>(static_cast<std::uint8_t>(place_) + 1); break;
  }
}

}  // namespace replygate::test
