#include "milter/door/wire/dialogue.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <span>

#include "milter/door/mta_events.h"
#include "milter/door/wire/arguments.h"
#include "milter/door/wire/replies.h"
#include "milter/guarded.h"
#include "milter/log/say.h"

namespace replygate::wire {
namespace {

// Of events that are judged.
std::optional<Stage> stage_of(Command command) {
  switch (command) {
    case Command::connect: return Stage::connect;
    case Command::helo: return Stage::helo;
    case Command::mail: return Stage::mail;
    case Command::rcpt: return Stage::rcpt;
    case Command::data: return Stage::data;
    case Command::end_of_headers: return Stage::header;
    case Command::end_of_message: return Stage::message;
    default: return std::nullopt;
  }
}

}  // namespace

Dialogue::Dialogue(const DoorServices& services, std::function<void()> answered)
    : services_(services), answered_(std::move(answered)) {}

Dialogue::~Dialogue() {
  try {
    end_session();
  } catch (const std::exception&) {
    session_.reset();  // gives back what it holds
  }
  if (counted_) services_.traffic.end_transaction();
}

Dialogue::Next Dialogue::take(const Packet& packet, std::string& out) try {
  return handle(packet, out);
} catch (const std::exception& error) {
  return recover(error.what(), out);
} catch (...) {
  return recover("of unknown kind", out);
}

Dialogue::Next Dialogue::recover(std::string_view error, std::string& out) {
  say(fmt::format("internal error: {}", error));
  if (session_ == nullptr || !wants_reply(asked_)) return fail("internal error");
  session_->fail(services_.clock.now());
  then_ = place_;
  answer_ = session_->internal_error();
  return give(out);
}

Dialogue::Next Dialogue::handle(const Packet& packet, std::string& out) {
  const auto command = static_cast<Command>(packet.command);
  asked_ = command;
  switch (command) {
    case Command::negotiate: return negotiate(packet.data, out);
    case Command::quit: end_session(); return Next::close;
    case Command::macros:
      macros_.set(packet.data);
      return macros_.octets() <= most_memory() ? Next::read : fail("macros beyond max_session_memory");
    default: break;
  }
  if (place_ == Place::start) return fail("no negotiation");
  switch (command) {
    case Command::quit_keep_open:
      end_session();
      place_ = Place::negotiated;
      return renew_policy() ? Next::read : Next::close;
    case Command::abort: abort(); return Next::read;
    case Command::connect: return connect(packet.data, out);
    case Command::unknown: return go_on(out);
    default:
      return place_ == Place::negotiated ? fail("an event without a session")
                                         : handle_in_session(command, packet.data, out);
  }
}

Dialogue::Next Dialogue::handle_in_session(Command command, std::string_view data, std::string& out) {
  switch (command) {
    case Command::helo: return helo(data, out);
    case Command::mail: return mail(data, out);
    case Command::rcpt: return rcpt(data, out);
    case Command::data: return this->data(out);
    case Command::header: return header(data, out);
    case Command::end_of_headers: return end_of_headers(out);
    case Command::body: return body(data, out);
    case Command::end_of_message: return end_of_message(data, out);
    default: return fail("unknown command");
  }
}

Dialogue::Next Dialogue::negotiate(std::string_view data, std::string& out) {
  const auto offer = parse_negotiation(data);
  if (!offer) return fail("negotiation too short");
  if (offer->version < kOldestVersion) return fail("protocol version too old");
  if (place_ > Place::negotiated) return fail("negotiation within a session");
  policy_ = services_.policy_now();
  const Needs& needs = policy_->needs();
  const std::uint32_t actions = wanted_actions(needs);
  if ((offer->actions & actions) != actions)
    return fail("the MTA allows no added headers or no hold queue, which the policy needs");
  const bool choose_macros = (offer->actions & kSetMacros) != 0;
  steps_ = wanted_steps(needs) & offer->steps;
  append_negotiation(out, {std::min(offer->version, kVersion), actions | (choose_macros ? kSetMacros : 0), steps_},
                     choose_macros ? std::span(macro_wishes(needs)) : std::span<const MacroWish>());
  place_ = Place::negotiated;
  return Next::read;
}

Dialogue::Next Dialogue::connect(std::string_view data, std::string& out) {
  if (place_ != Place::negotiated) return fail("a second session");
  const auto arguments = parse_connect(data);
  if (!arguments) return fail("malformed CONNECT");
  renew_policy();  // it may have changed while the connection was idle; else the one that was negotiated serves
  shut_out_ = services_.traffic.closed();
  session_ = std::make_unique<Session>(policy_, services_.of_session(), Session::Door{});
  return ask(
      Place::session,
      [&](Session::Done done) {
        session_->connect(connect_event(arguments->host, arguments->ip, arguments->port, macros_),
                          services_.clock.now(), std::move(done));
      },
      out);
}

Dialogue::Next Dialogue::helo(std::string_view data, std::string& out) {
  const auto name = take_string(data);
  if (!name) return fail("malformed HELO");
  abort();
  return ask(
      Place::session,
      [&](Session::Done done) { session_->helo(std::string(*name), services_.clock.now(), std::move(done)); }, out);
}

std::optional<replygate::Reply> Dialogue::reason_to_turn_away() const {
  if (shut_out_ || services_.traffic.draining()) return default_reply("service-unavailable");
  if (full()) return default_reply("storage-full");
  return std::nullopt;
}

std::size_t Dialogue::most_memory() const {
  return static_cast<std::size_t>(services_.policy->settings().bounds.session_memory);
}

bool Dialogue::full() const { return macros_.octets() + session_->footprint() > most_memory(); }

Dialogue::Next Dialogue::mail(std::string_view data, std::string& out) {
  const auto arguments = parse_strings(data);
  if (!arguments) return fail("malformed MAIL");
  if (const auto reply = reason_to_turn_away()) {
    abort();
    turned_away_ = std::make_unique<replygate::Reply>(*reply);
    place_ = Place::mail;
    return refuse(*reply, out);
  }
  turned_away_.reset();
  return ask(
      Place::mail,
      [&](Session::Done done) {
        session_->mail(mail_event(*arguments, macros_), services_.clock.now(), std::move(done));
      },
      out);
}

Dialogue::Next Dialogue::rcpt(std::string_view data, std::string& out) {
  const auto recipient = parse_first_string(data);
  if (!recipient) return fail("malformed RCPT");
  if (turned_away_) return refuse(*turned_away_, out);
  if (!session_->in_transaction() || place_ > Place::rcpt) return out_of_order(out);
  if (full()) return refuse(default_reply("storage-full"), out);
  session_->queue_id(macros_.get("i"));
  RcptEvent event = rcpt_event(*recipient, macros_, (steps_ & kShowRefused) != 0);
  macros_.end_recipient();
  return ask(
      event.mta_refused ? place_ : Place::rcpt,
      [&](Session::Done done) { session_->rcpt(std::move(event), services_.clock.now(), std::move(done)); }, out);
}

Dialogue::Next Dialogue::data(std::string& out) {
  if (!session_->in_transaction() || place_ != Place::rcpt) return out_of_order(out);
  session_->queue_id(macros_.get("i"));
  return ask(Place::content, [&](Session::Done done) { session_->data(services_.clock.now(), std::move(done)); }, out);
}

Dialogue::Next Dialogue::header(std::string_view data, std::string& out) {
  const auto name = take_string(data);
  const auto value = take_string(data);
  if (!name || !value) return fail("malformed header");
  if (!session_->in_transaction() || place_ < Place::rcpt) return out_of_order(out);
  if (full()) {  // headers have no reply: the end of the message will be refused for now
    abort();
    return go_on(out);
  }
  session_->header(*name, header_value(*value), header_octets(*name, *value, (steps_ & kLeadingSpace) != 0));
  place_ = Place::content;
  return go_on(out);
}

Dialogue::Next Dialogue::end_of_headers(std::string& out) {
  if (!session_->in_transaction() || place_ < Place::rcpt) return out_of_order(out);
  return ask(
      Place::content, [&](Session::Done done) { session_->end_of_headers(services_.clock.now(), std::move(done)); },
      out);
}

Dialogue::Next Dialogue::body(std::string_view data, std::string& out) {
  if (!session_->in_transaction() || place_ < Place::rcpt) return out_of_order(out);
  session_->body(data);
  place_ = Place::content;
  return go_on(out);
}

Dialogue::Next Dialogue::end_of_message(std::string_view data, std::string& out) {
  if (!session_->in_transaction() || place_ < Place::rcpt) {
    abort();
    return out_of_order(out);
  }
  session_->body(data);
  session_->queue_id(macros_.get("i"));
  return ask(
      Place::session, [&](Session::Done done) { session_->end_of_message(services_.clock.now(), std::move(done)); },
      out);
}

void Dialogue::abort() {
  if (place_ < Place::session) return;
  session_->abort(services_.clock.now());
  count_transaction();
  macros_.end_message();
  turned_away_.reset();
  place_ = Place::session;
}

void Dialogue::end_session() {
  if (session_ != nullptr) abort();
  session_.reset();
  macros_.clear();
}

// For the next session on this connection. False where the policy needs other things than were negotiated: the MTA
// connects anew.
bool Dialogue::renew_policy() {
  if (policy_ == nullptr) return true;
  auto policy = services_.policy_now();
  if (policy->needs() != policy_->needs()) return false;
  policy_ = std::move(policy);
  return true;
}

template <typename Event>
Dialogue::Next Dialogue::ask(Place then, Event event, std::string& out) {
  then_ = then;
  stopwatch_.start();
  phase_.store(Phase::asking, std::memory_order_relaxed);
  event([this](Answer&& answer) {
    answer_ = std::move(answer);
    if (phase_.exchange(Phase::answered, std::memory_order_acq_rel) != Phase::waiting) return;
    guarded("milter", answered_);
  });
  const bool answered = phase_.exchange(Phase::waiting, std::memory_order_acq_rel) == Phase::answered;
  return answered ? give(out) : Next::wait;
}

Dialogue::Next Dialogue::resume(std::string& out) { return give(out); }

// What was decided holds, whatever fails in saying it: it is said once more.
Dialogue::Next Dialogue::give(std::string& out) {
  count_transaction();
  note_time();
  const std::size_t before = out.size();
  Next next = Next::read;
  try {
    next = say_answer(out);
  } catch (const std::exception&) {
    out.resize(before);
    next = say_answer(out);
  }
  answer_ = {};
  return next;
}

Dialogue::Next Dialogue::say_answer(std::string& out) {
  if (!answer_.refusal) {
    place_ = then_;
    return asked_ == Command::end_of_message ? dispose(answer_.disposition, out) : go_on(out);
  }
  if (place_ == Place::negotiated || !session_->in_transaction()) place_ = Place::session;
  return refuse(*answer_.refusal, out);
}

Dialogue::Next Dialogue::go_on(std::string& out) {
  if (wants_reply(asked_, steps_)) append_go_on(out);
  return Next::read;
}

Dialogue::Next Dialogue::dispose(const Disposition& disposition, std::string& out) {
  if (disposition.discard) {
    append_discard(out);
    return Next::read;
  }
  const bool leading_space = (steps_ & kLeadingSpace) != 0;
  for (const Header& header : disposition.headers) {
    append_add_header(out, header.name, added_value(header.value, leading_space));
  }
  if (!disposition.hold.empty()) append_quarantine(out, disposition.hold);
  return go_on(out);
}

Dialogue::Next Dialogue::refuse(const replygate::Reply& reply, std::string& out) {
  if (wants_reply(asked_, steps_)) append_refusal(out, reply);
  return Next::read;
}

Dialogue::Next Dialogue::out_of_order(std::string& out) { return refuse(default_reply("local-error"), out); }

Dialogue::Next Dialogue::fail(std::string_view problem) {
  problem_ = problem;
  return Next::close;
}

void Dialogue::note_time() const {
  if (const auto stage = stage_of(asked_)) services_.times.note(*stage, answer_.rule, stopwatch_.took());
}

void Dialogue::count_transaction() {
  if (session_->in_transaction() == counted_) return;
  counted_ = !counted_;
  counted_ ? services_.traffic.begin_transaction() : services_.traffic.end_transaction();
}

}  // namespace replygate::wire
