#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

// Random dialogues of an MTA with a milter, in whatever order, and a model of where libmilter is known to go wrong.
namespace replygate::test {

// What libmilter does otherwise than the protocol asks. In each case the event is not sent to it.
enum class Fault : std::uint8_t {
  silent_recipient,   // RCPT without a transaction, or behind DATA: ignored, without the answer that the MTA waits for
  silent_data,        // DATA, or content, without a transaction or a recipient: the same
  silent_end,         // the end of a message without a transaction: the same
  message_to_nobody,  // DATA or the end of a message whose recipients were all refused: taken as if there were one
  silent_connect,     // a second CONNECT: ignored
};
constexpr std::size_t kFaults = 5;
std::string_view name_of(Fault fault);

struct Event {
  char command = 0;
  std::string octets;          // macros included
  std::optional<Fault> fault;  // libmilter does not get it …
  bool abort_instead = false;  // … but ABORT, since the engine ends the transaction
  bool kept = true;            // for RCPT: not refused by the MTA itself, as far as it says so
};

// Where a dialogue is, as both engines must see it; told of each answer.
class Model {
 public:
  // `shows_refused`: recipients that the MTA refused are shown as such.
  Model(std::uint64_t seed, std::string client, bool shows_refused)
      : random_(seed), client_(std::move(client)), shows_refused_(shows_refused) {}

  Event connect();
  // The next event, legal or not; nothing where the MTA has had enough.
  std::optional<Event> next();
  // `code`: of a refusal, 0 for everything else.
  void heard(const Event& event, int code);

  int transactions() const { return transactions_; }  // records that are due
  std::uint64_t random(std::uint64_t below) { return random_() % below; }

 private:
  enum class Place : std::uint8_t { session, mail, rcpt, data, headers, end_of_headers, body };

  Event helo();
  Event mail();
  Event rcpt();
  Event simple(char command);
  Event event(char command);
  bool legal(char command) const;
  bool senseless(char command) const;
  std::optional<Fault> fault_of(char command) const;

  std::mt19937_64 random_;
  std::string client_;
  bool shows_refused_;
  Place place_ = Place::session;
  int kept_ = 0;
  int recipients_ = 0;
  int messages_ = 0;
  int steps_ = 0;
  int transactions_ = 0;
  bool over_ = false;
  bool behind_unknown_ = false;
};

}  // namespace replygate::test
