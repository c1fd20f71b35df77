#include "tests/oracle/count_stage.h"

#include <future>

#include "tests/support/eventually.h"

namespace replygate::oracle::counts {
namespace {

// That each event has a reply, and recipients come that the MTA refuses.
constexpr std::uint32_t kSteps = 0x800;

bool closes(const std::string& reply) { return reply.starts_with("421"); }

}  // namespace

template <typename Event>
std::string SessionStage::ask(Event event) {
  std::promise<std::string> told;
  event([&](const Answer& answer) {
    told.set_value(answer.refusal ? answer.refusal->one_line() : answer.disposition.hold);
  });
  return test::soon(told);
}

std::string SessionStage::finish(Session& session, std::int64_t octets, Instant now) {
  std::string reply = ask([&](Session::Done done) { session.data(now, std::move(done)); });
  if (!reply.empty()) return reply;
  reply = ask([&](Session::Done done) { session.end_of_headers(now, std::move(done)); });
  if (!reply.empty()) return reply;
  session.body(std::string(static_cast<std::size_t>(octets), 'x'));
  return ask([&](Session::Done done) { session.end_of_message(now, std::move(done)); });
}

std::string SessionStage::act(const Act& act, Instant now) {
  auto& session = sessions_[act.session];
  std::string reply;
  switch (act.kind) {
    case Act::Kind::connect:
      session = std::make_unique<Session>(policy_, Session::Services{gate_, sink_, references_}, Session::Door{});
      reply = ask([&](Session::Done done) {
        session->connect({.ip = IpAddress::parse(act.text), .name = "unknown", .port = 40000, .listener = "smtp"}, now,
                         std::move(done));
      });
      break;
    case Act::Kind::helo:
      session->abort(now);
      reply = ask([&](Session::Done done) { session->helo(act.text, now, std::move(done)); });
      break;
    case Act::Kind::mail:
      reply = ask([&](Session::Done done) {
        session->mail({.sender = '<' + act.text + '>', .user = act.user, .mechanism = "PLAIN"}, now, std::move(done));
      });
      break;
    case Act::Kind::rcpt:
      reply = ask([&](Session::Done done) {
        session->rcpt({.recipient = '<' + act.text + '>', .mta_refused = act.mta_refused, .mta_status = "5.1.1"}, now,
                      std::move(done));
      });
      break;
    case Act::Kind::finish: reply = finish(*session, act.octets, now); break;
    case Act::Kind::reset: session->abort(now); break;
    case Act::Kind::quit: session->abort(now); [[fallthrough]];
    case Act::Kind::lose: session.reset(); break;
  }
  if (closes(reply)) {
    session->abort(now);
    session.reset();
  }
  return reply;
}

std::string WireStage::ask(int session, const std::string& packets) {
  test::WireClient& client = clients_.at(session);
  const test::Heard heard = client.ask(packets);
  if (heard.command == 'q') {  // the reason to hold the message comes before what becomes of it
    client.read();
    return heard.data.c_str();
  }
  if (heard.command == 'c' || heard.command == 'a') return "";
  std::string text = heard.text();
  for (std::size_t at = 0; (at = text.find("%%", at)) != std::string::npos; ++at) text.erase(at, 1);
  return text;
}

void WireStage::leave(int session) {
  clients_.at(session).hang_up();
  clients_.erase(session);
}

std::string WireStage::finish(int session, std::int64_t octets) {
  for (const std::string& packet : {test::packet('T'), test::packet('N')}) {
    if (std::string reply = ask(session, packet); !reply.empty()) return reply;
  }
  for (std::int64_t left = octets; left > 0; left -= 2000) {
    const std::string part(static_cast<std::size_t>(std::min<std::int64_t>(left, 2000)), 'x');
    if (std::string reply = ask(session, test::packet('B', part)); !reply.empty()) return reply;
  }
  return ask(session, test::packet('E'));
}

std::string WireStage::act(const Act& act, Instant /*now*/) {
  const int id = act.session;
  std::string reply;
  switch (act.kind) {
    case Act::Kind::connect:
      clients_.erase(id);
      clients_.emplace(id, test::WireClient(address_));
      clients_.at(id).ask(test::negotiation(6, 0x1ff, kSteps));
      reply = ask(id, test::connect_packet(act.text, "[" + act.text + "]"));
      break;
    case Act::Kind::helo: reply = ask(id, test::packet('A') + test::helo_packet(act.text)); break;
    case Act::Kind::mail:
      reply = ask(id, test::packet('A') + test::macros_packet('M', {"{auth_authen}", act.user}) +
                          test::mail_packet('<' + act.text + '>'));
      break;
    case Act::Kind::rcpt:
      reply = ask(id, (act.mta_refused ? test::macros_packet('R', {"{rcpt_mailer}", "error", "{rcpt_host}", "5.1.1",
                                                                   "{rcpt_addr}", "User unknown"})
                                       : test::macros_packet('R', {"{rcpt_mailer}", ""})) +
                          test::rcpt_packet('<' + act.text + '>'));
      break;
    case Act::Kind::finish: reply = finish(id, act.octets); break;
    case Act::Kind::reset: ask(id, test::packet('A') + test::packet('U', test::strings({"NOOP"}))); break;
    case Act::Kind::quit: clients_.at(id).send(test::packet('Q')); [[fallthrough]];
    case Act::Kind::lose: leave(id); break;
  }
  if (closes(reply)) leave(id);
  return reply;
}

}  // namespace replygate::oracle::counts
