#include "tests/differential/dialogues.h"

#include <fmt/format.h>

#include <array>

#include "tests/support/wire.h"

namespace replygate::test {
namespace {

constexpr std::array<std::string_view, kFaults> kNames = {"silent_recipient", "silent_data", "silent_end",
                                                          "message_to_nobody", "silent_connect"};
constexpr std::array<std::string_view, 7> kClients = {
    "192.0.2.7", "127.0.0.1", "198.51.100.1", "198.51.100.2", "2001:db8::7", "IPv6:0:0:0:0:0:0:0:1", ""};
constexpr std::array<std::string_view, 4> kGreetings = {"client.example.net", "closed.example", "bad.example", ""};
constexpr std::array<std::string_view, 8> kSenders = {"s421", "s450", "s554", "data", "s", "t", "u", "v"};
constexpr std::array<std::string_view, 9> kRecipients = {"r421", "r450", "r571", "ok", "a", "b", "c", "d%e", "\"q q\""};
constexpr std::string_view kEvents = "HMRTLNBEAUC";

template <std::size_t N>
std::string_view pick(const std::array<std::string_view, N>& list, std::uint64_t random) {
  return list[random % N];
}

}  // namespace

std::string_view name_of(Fault fault) { return kNames[static_cast<std::size_t>(fault)]; }

Event Model::connect() {
  const auto client = random(4) == 0 ? pick(kClients, random_()) : kClients[0];
  return {.command = 'C',
          .octets = macros_packet('C', {"j", "mx.example", "{daemon_name}", "smtp"}) +
                    connect_packet(client, client_, static_cast<std::uint16_t>(random(2) * 40000))};
}

Event Model::helo() {
  const auto name = random(8) == 0 ? pick(kGreetings, random_()) : kGreetings[0];
  return {.command = 'H',
          .octets = macros_packet('H', {"{tls_version}", "TLSv1.3", "{cipher_bits}", "256"}) + helo_packet(name)};
}

Event Model::mail() {
  const std::string sender = fmt::format("<{}@{}>", pick(kSenders, random_()), client_);
  std::string octets;
  if (random(3) == 0)
    octets += macros_packet('M', {"{auth_authen}", "carol", "{auth_type}", "PLAIN", "i", "Q1"});
  else
    octets += macros_packet('M', {"{mail_addr}", ""});
  octets += random(2) == 0 ? mail_packet(sender) : mail_packet(sender, {"SIZE=1000", "SMTPUTF8"});
  return {.command = 'M', .octets = std::move(octets)};
}

Event Model::rcpt() {
  const std::string address = fmt::format("{}@rcpt.example", pick(kRecipients, random_()));
  std::string octets;
  bool kept = true;
  switch (random(4)) {
    case 0:
      kept = !shows_refused_;
      octets = macros_packet('R', {"{rcpt_mailer}", "error", "{rcpt_host}", "5.1.1", "{rcpt_addr}", "User unknown"});
      break;
    case 1:
      octets = macros_packet('R', {"i", "Q2", "{rcpt_mailer}", "smtp", "{rcpt_host}", "x", "{rcpt_addr}", address});
      break;
    default: octets = macros_packet('R', {"{rcpt_mailer}", "local", "{rcpt_host}", "", "{rcpt_addr}", "user"});
  }
  return {.command = 'R', .octets = octets + rcpt_packet(fmt::format("<{}>", address)), .kept = kept};
}

Event Model::simple(char command) {
  switch (command) {
    case 'L': return {.command = 'L', .octets = header_packet("Subject", " some text\n\tmore")};
    case 'B': return {.command = 'B', .octets = packet('B', std::string(1 + random(3000), 'x'))};
    case 'E': return {.command = 'E', .octets = macros_packet('E', {"i", "Q3"}) + packet('E')};
    case 'T': return {.command = 'T', .octets = macros_packet('T', {"i", "Q3"}) + packet('T')};
    case 'U': return {.command = 'U', .octets = packet('U', strings({"FOO bar"}))};
    default: return {.command = command, .octets = packet(command)};
  }
}

Event Model::event(char command) {
  switch (command) {
    case 'C': return connect();
    case 'H': return helo();
    case 'M': return mail();
    case 'R': return rcpt();
    default: return simple(command);
  }
}

bool Model::legal(char command) const {
  switch (command) {
    case 'H':
    case 'M':
    case 'A': return true;
    case 'R': return place_ == Place::mail || place_ == Place::rcpt;
    case 'U': return place_ <= Place::rcpt;
    case 'T': return place_ == Place::rcpt && kept_ > 0;
    case 'L':
    case 'N': return place_ >= Place::rcpt && place_ <= Place::headers && kept_ > 0;
    case 'B':
    case 'E': return (place_ == Place::rcpt || place_ >= Place::end_of_headers) && kept_ > 0;
    default: return false;
  }
}

// Content out of its own order: no MTA can send it, and how it would be counted says nothing. Behind an unknown command
// libmilter takes content only after DATA.
bool Model::senseless(char command) const {
  if (std::string_view("LNBE").find(command) != std::string_view::npos && behind_unknown_) return true;
  return std::string_view("LNBEU").find(command) != std::string_view::npos && place_ > Place::rcpt;
}

std::optional<Fault> Model::fault_of(char command) const {
  if (legal(command)) return std::nullopt;
  const bool refused = place_ == Place::rcpt && recipients_ > 0;
  switch (command) {
    case 'R': return Fault::silent_recipient;
    case 'C': return Fault::silent_connect;
    case 'E': return refused ? Fault::message_to_nobody : Fault::silent_end;
    default: return refused ? Fault::message_to_nobody : Fault::silent_data;
  }
}

std::optional<Event> Model::next() {
  if (over_ || ++steps_ > 40) return std::nullopt;
  char command = kEvents[random(kEvents.size())];
  // Mostly what an MTA would do.
  if (random(10) != 0 || senseless(command)) {
    static constexpr std::array<std::string_view, 7> kUsual = {"HMMMMM", "RRRRA", "RRTTTLEA", "LLN",
                                                               "LLLN",   "BBE",   "BEEE"};
    const std::string_view usual = kUsual[static_cast<std::size_t>(place_)];
    command = usual[random(usual.size())];
  }
  if (senseless(command)) command = 'A';
  Event chosen = event(command);
  chosen.fault = fault_of(command);
  chosen.abort_instead = chosen.fault && command == 'E' && place_ != Place::session;
  return chosen;
}

void Model::heard(const Event& told, int code) {
  const bool fine = code == 0;
  behind_unknown_ = told.command == 'U';
  const char event = told.command;
  if (code == 421) over_ = event == 'C' || event == 'H';
  if (over_) ++transactions_;
  if (told.fault) {
    over_ = over_ || event == 'C';
    if (event == 'E') place_ = Place::session;
    return;
  }
  switch (event) {
    case 'M':
      ++transactions_;
      ++messages_;
      recipients_ = kept_ = 0;
      place_ = fine ? Place::mail : Place::session;
      break;
    case 'R':
      place_ = Place::rcpt;
      ++recipients_;
      kept_ += static_cast<int>(fine && told.kept);
      break;
    case 'T': place_ = fine ? Place::data : Place::session; break;
    case 'L': place_ = Place::headers; break;
    case 'N': place_ = Place::end_of_headers; break;
    case 'B': place_ = Place::body; break;
    case 'U': break;
    default: place_ = Place::session;
  }
  if (event == 'E') over_ = messages_ > 3;
}

}  // namespace replygate::test
