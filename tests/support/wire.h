#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The MTA's side of the milter protocol, for tests: packets as octets, and a blocking connection.
namespace replygate::test {

std::string packet(char command, std::string_view data = {});
std::string strings(std::initializer_list<std::string_view> texts);  // each with its NUL

std::string negotiation(std::uint32_t version = 6, std::uint32_t actions = 0x1ff, std::uint32_t steps = 0x1fffff);
std::string connect_packet(std::string_view ip, std::string_view host = "client.example.net",
                           std::uint16_t port = 40000);
std::string helo_packet(std::string_view name = "client.example.net");
std::string mail_packet(std::string_view sender, std::initializer_list<std::string_view> parameters = {});
std::string rcpt_packet(std::string_view recipient);
// Names and values by turns.
std::string macros_packet(char command, std::initializer_list<std::string_view> names_and_values);
std::string header_packet(std::string_view name, std::string_view value);

struct Heard {
  char command = 0;  // 0: the connection was closed
  std::string data;

  // "571 5.7.1 text" of a refusal, the command of anything else, "closed".
  std::string text() const;
  bool operator==(const Heard&) const = default;
};

// The packets that stand in `octets`, whole ones alone.
std::vector<Heard> packets_in(std::string_view octets);

// A listening Unix socket at `path`, as who starts the daemon hands it over; throws where there can be none.
int listen_unix(const std::string& path);

// A connection to a milter, as an MTA has it. Fails by an empty answer ("closed"), never by waiting: beyond `patience`
// it throws.
class WireClient {
 public:
  // "unix:/path" or "inet:port@host". Throws where nobody listens.
  explicit WireClient(std::string_view address, std::chrono::milliseconds patience = std::chrono::seconds(30));
  ~WireClient();
  WireClient(WireClient&& other) noexcept;
  WireClient& operator=(WireClient&&) = delete;

  bool send(std::string_view octets);  // false where the peer is gone
  Heard read();
  Heard ask(std::string_view octets) { return send(octets) ? read() : Heard{}; }
  bool silent();   // nothing has come, and it is not closed; does not wait
  void hang_up();  // ends the connection, and waits until the peer has, too
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::string in_;
};

}  // namespace replygate::test
