#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "milter/door/services.h"
#include "milter/door/traffic.h"
#include "milter/door/wire/macros.h"
#include "milter/door/wire/packet.h"
#include "policy/decide/session.h"

namespace replygate::wire {

// What a filter says to one connection of an MTA: packets in, packets out. No I/O, no timers.
//
// Strict: a packet that breaks the protocol, or an event before its session, ends the connection, so that the MTA does
// as its default action says. An event out of its order within a session is refused for now and changes nothing, so
// that no verdict reaches a transaction that it was not made for.
//
// Used by one thread at a time; services and traffic outlive it.
class Dialogue {
 public:
  enum class Next : std::uint8_t {
    read,   // the next packet
    wait,   // a decision is under way: `answered` will be called once, then resume() is due
    close,  // the connection; problem() says why if it was no QUIT
  };

  // `answered` may be called on any thread, after take() has returned or before. The dialogue must live until then.
  Dialogue(const DoorServices& services, std::function<void()> answered);
  ~Dialogue();  // not while waiting; an open transaction ends as aborted
  Dialogue(const Dialogue&) = delete;
  Dialogue& operator=(const Dialogue&) = delete;

  // What is to be sent is appended to `out`.
  Next take(const Packet& packet, std::string& out);
  Next resume(std::string& out);
  // While waiting: whether the decision has come. Should `answered` have failed, this tells.
  bool may_resume() const { return phase_.load(std::memory_order_acquire) == Phase::answered; }

  // While waiting: whether the MTA would take a sign of life.
  bool may_progress() const { return asked_ == Command::end_of_message; }
  bool negotiated() const { return place_ != Place::start; }
  std::string_view problem() const { return problem_; }

 private:
  enum class Phase : std::uint8_t { asking, waiting, answered };
  // Where the MTA is, as far as it may go on from there.
  enum class Place : std::uint8_t { start, negotiated, session, mail, rcpt, content };

  Next handle(const Packet& packet, std::string& out);
  Next handle_in_session(Command command, std::string_view data, std::string& out);
  Next negotiate(std::string_view data, std::string& out);
  Next connect(std::string_view data, std::string& out);
  Next helo(std::string_view data, std::string& out);
  Next mail(std::string_view data, std::string& out);
  Next rcpt(std::string_view data, std::string& out);
  Next data(std::string& out);
  Next header(std::string_view data, std::string& out);
  Next end_of_headers(std::string& out);
  Next body(std::string_view data, std::string& out);
  Next end_of_message(std::string_view data, std::string& out);
  Next recover(std::string_view error, std::string& out);
  void abort();
  void end_session();
  bool renew_policy();

  // Hands one event to the session; `then` is where the MTA is if it may go on.
  template <typename Event>
  Next ask(Place then, Event event, std::string& out);
  Next give(std::string& out);
  Next say_answer(std::string& out);
  Next go_on(std::string& out);
  Next dispose(const Disposition& disposition, std::string& out);
  Next refuse(const replygate::Reply& reply, std::string& out);
  Next out_of_order(std::string& out);
  Next fail(std::string_view problem);
  std::optional<replygate::Reply> reason_to_turn_away() const;
  std::size_t most_memory() const;
  bool full() const;
  void count_transaction();
  void note_time() const;

  const DoorServices& services_;
  const std::function<void()> answered_;

  std::shared_ptr<const Policy> policy_;  // from the negotiation on
  MacroTable macros_;
  std::unique_ptr<Session> session_;
  std::uint32_t steps_ = 0;  // SMFIP_* in force
  Place place_ = Place::start;
  std::unique_ptr<replygate::Reply> turned_away_;  // the transaction was not begun
  bool counted_ = false;                           // as an open transaction
  bool shut_out_ = false;                          // the session began while none is wanted
  std::string_view problem_;

  // The event under way.
  Command asked_ = Command::negotiate;
  Place then_ = Place::start;
  Answer answer_;
  Stopwatch stopwatch_;
  std::atomic<Phase> phase_ = Phase::asking;
};

}  // namespace replygate::wire
