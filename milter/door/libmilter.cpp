#include "milter/door/libmilter.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmilter/mfapi.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <optional>

#include "milter/door/milter_macros.h"
#include "milter/door/traffic.h"
#include "milter/door/waiter.h"
#include "milter/door/wake.h"

namespace replygate {
namespace {

// libmilter hands its callbacks no pointer of ours before a session has one, so the services are global to this file.
// They are never destroyed, since libmilter's threads are never joined.
const DoorServices* services = nullptr;

Traffic traffic;

// What libmilter keeps for us from negotiation to close. Its callbacks come one at a time, on changing threads.
struct Peer {
  explicit Peer(const DoorServices& s) : session(s.policy, {s.gate, s.sink, s.references}, {}) {}
  ~Peer() {
    if (counted) traffic.end_transaction();
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  Session session;
  unsigned long steps = 0;  // the SMFIP_* in force
  bool counted = false;     // as an open transaction
  bool late = false;        // the transaction began while we are stopping

  // To be called behind each event that may begin or end a transaction.
  void count() {
    if (session.in_transaction() == counted) return;
    counted = !counted;
    counted ? traffic.begin_transaction() : traffic.end_transaction();
  }
};

Peer* peer_of(SMFICTX* context) { return static_cast<Peer*>(smfi_getpriv(context)); }

std::string_view macro(SMFICTX* context, const char* name) {
  std::string key(name);
  const char* value = smfi_getsymval(context, key.data());
  return value == nullptr ? std::string_view() : value;
}

// The only place that hands a reply to libmilter. The verdict follows from the code; a reply that libmilter will not
// take is replaced, since a bare verdict could send one that was set before.
sfsistat give(SMFICTX* context, const Reply& reply) {
  std::array<std::string, Reply::kMostLines> texts;
  std::array<char*, Reply::kMostLines> lines{};
  for (std::size_t i = 0; i < reply.lines().size(); ++i) {
    texts[i] = reply_line(reply.lines()[i]);
    lines[i] = texts[i].data();
  }
  std::string code = std::to_string(reply.code());
  std::string enhanced = reply.enhanced().text();
  const auto& l = lines;
  const int set = smfi_setmlreply(context, code.data(), enhanced.data(), l[0], l[1], l[2], l[3], l[4], l[5], l[6], l[7],
                                  l[8], l[9], l[10], l[11], l[12], l[13], l[14], l[15], nullptr);
  if (set == MI_SUCCESS) return reply.severity() == Severity::permanent ? SMFIS_REJECT : SMFIS_TEMPFAIL;
  const Classification& c = *find_classification("local-error");
  code = std::to_string(c.code);
  enhanced = c.enhanced.text();
  std::string text(c.text);
  smfi_setreply(context, code.data(), enhanced.data(), text.data());
  return SMFIS_TEMPFAIL;
}

// Runs one event of a session and waits for its answer; the store keeps the deadline.
template <typename Event>
sfsistat answer_to(SMFICTX* context, Peer& peer, Event event) {
  Waiter waiter;
  event(peer.session, waiter.done());
  const Answer answer = waiter.wait();
  peer.count();
  return answer.refusal ? give(context, *answer.refusal) : SMFIS_CONTINUE;
}

// Nothing may leave a callback: an exception would end the process. Without a session the MTA shall try later.
template <typename Body>
sfsistat guarded(SMFICTX* context, Body body) {
  Peer* peer = peer_of(context);
  try {
    if (peer != nullptr) return body(*peer);
    std::fputs("replygate: milter event without negotiation\n", stderr);
  } catch (const std::exception& error) {
    std::fputs(fmt::format("replygate: internal error: {}\n", error.what()).c_str(), stderr);
    const Answer answer = peer->session.internal_error();
    if (!answer.refusal) return SMFIS_CONTINUE;
    return give(context, *answer.refusal);
  }
  return SMFIS_TEMPFAIL;
}

// A reply that the MTA does not wait for must not be sent.
sfsistat unless_silent(const Peer& peer, unsigned long flag, sfsistat status) {
  return (peer.steps & flag) != 0 ? SMFIS_NOREPLY : status;
}

unsigned long wanted_steps(const Needs& needs) {
  unsigned long steps = SMFIP_NOUNKNOWN | SMFIP_RCPT_REJ | SMFIP_NR_CONN | SMFIP_NR_HELO;
  if (!needs.reply_at_mail) steps |= SMFIP_NR_MAIL;
  if (!needs.data) steps |= SMFIP_NODATA;
  steps |= needs.content ? SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY | SMFIP_HDR_LEADSPC
                         : SMFIP_NOHDRS | SMFIP_NOEOH | SMFIP_NOBODY;
  return steps;
}

void ask_for_macros(SMFICTX* context, const Needs& needs) {
  const auto ask = [context](int stage, std::string_view names) {
    std::string list(names);
    smfi_setsymlist(context, stage, list.data());
  };
  ask(SMFIM_CONNECT, kConnectMacros);
  ask(SMFIM_ENVFROM, kMailMacros);
  ask(SMFIM_ENVRCPT, kRcptMacros);
  if (needs.data) ask(SMFIM_DATA, kLateMacros);
  ask(SMFIM_EOH, kLateMacros);  // Sendmail uses the list of EOM only beside one of EOH
  ask(SMFIM_EOM, kLateMacros);
}

sfsistat on_negotiate(SMFICTX* context, unsigned long actions, unsigned long steps, unsigned long, unsigned long,
                      unsigned long* wanted_actions, unsigned long* wanted, unsigned long* reserved2,
                      unsigned long* reserved3) {
  try {
    auto peer = std::make_unique<Peer>(*services);
    const Needs& needs = services->policy->needs();
    peer->steps = wanted_steps(needs) & steps;
    *wanted = peer->steps;
    *wanted_actions = 0;
    *reserved2 = 0;
    *reserved3 = 0;
    if ((actions & SMFIF_SETSYMLIST) != 0) {
      *wanted_actions = SMFIF_SETSYMLIST;
      ask_for_macros(context, needs);
    }
    smfi_setpriv(context, peer.release());
    traffic.begin_session();
    return SMFIS_CONTINUE;
  } catch (const std::exception&) {
    return SMFIS_REJECT;  // the MTA does as its default action says
  }
}

ConnectEvent connect_event(SMFICTX* context, const char* host, const _SOCK_ADDR* address) {
  ConnectEvent event;
  event.name = client_name(host == nullptr ? "" : host);
  event.listener = macro(context, "{daemon_name}");
  if (address == nullptr) return event;
  if (address->sa_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address);
    event.ip = IpAddress::v4(ntohl(in->sin_addr.s_addr));
    event.port = ntohs(in->sin_port);
    // Postfix hands mail of sendmail(1) over so.
    event.local_submission = event.port == 0 && ntohl(in->sin_addr.s_addr) == INADDR_LOOPBACK;
  } else if (address->sa_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(address);
    IpAddress::Bytes bytes{};
    std::copy_n(std::begin(in6->sin6_addr.s6_addr), bytes.size(), bytes.begin());
    event.ip = IpAddress(bytes);
    event.port = ntohs(in6->sin6_port);
  }
  return event;
}

sfsistat on_connect(SMFICTX* context, char* host, _SOCK_ADDR* address) {
  return guarded(context, [&](Peer& peer) {
    const sfsistat status = answer_to(context, peer, [&](Session& session, Session::Done done) {
      session.connect(connect_event(context, host, address), services->clock.now(), std::move(done));
    });
    return unless_silent(peer, SMFIP_NR_CONN, status);
  });
}

sfsistat on_helo(SMFICTX* context, char* name) {
  return guarded(context, [&](Peer& peer) {
    const Instant now = services->clock.now();
    peer.session.abort(now);
    const sfsistat status = answer_to(context, peer, [&](Session& session, Session::Done done) {
      session.helo(name == nullptr ? "" : name, now, std::move(done));
    });
    return unless_silent(peer, SMFIP_NR_HELO, status);
  });
}

std::string argument(char** argv) { return argv == nullptr || argv[0] == nullptr ? "" : argv[0]; }

MailEvent mail_event(SMFICTX* context, char** argv) {
  MailEvent event;
  event.sender = argument(argv);
  for (std::size_t i = 1; !event.sender.empty() && argv[i] != nullptr; ++i) event.parameters.emplace_back(argv[i]);
  event.rewritten = macro(context, "{mail_addr}");
  event.user = macro(context, "{auth_authen}");
  event.mechanism = macro(context, "{auth_type}");
  event.queue_id = macro(context, "i");
  event.tls = {.version = std::string(macro(context, "{tls_version}")),
               .cipher = std::string(macro(context, "{cipher}")),
               .bits = std::atoll(std::string(macro(context, "{cipher_bits}")).c_str()),
               .subject = std::string(macro(context, "{cert_subject}")),
               .issuer = std::string(macro(context, "{cert_issuer}"))};
  return event;
}

sfsistat refuse_while_draining(SMFICTX* context) {
  const Classification& c = *find_classification("service-unavailable");
  const std::string text(c.text);
  return give(context, Reply::make(c.code, c.enhanced, {&text, 1}).value());
}

sfsistat on_mail(SMFICTX* context, char** argv) {
  return guarded(context, [&](Peer& peer) {
    peer.late = traffic.draining();
    if (peer.late) return (peer.steps & SMFIP_NR_MAIL) != 0 ? SMFIS_NOREPLY : refuse_while_draining(context);
    const sfsistat status = answer_to(context, peer, [&](Session& session, Session::Done done) {
      session.mail(mail_event(context, argv), services->clock.now(), std::move(done));
    });
    return unless_silent(peer, SMFIP_NR_MAIL, status);
  });
}

sfsistat on_rcpt(SMFICTX* context, char** argv) {
  return guarded(context, [&](Peer& peer) {
    if (peer.late) return refuse_while_draining(context);
    std::optional<RcptMacros> macros;
    if (const auto mailer = macro(context, "{rcpt_mailer}"); !mailer.empty()) {
      macros = RcptMacros{mailer, macro(context, "{rcpt_host}"), macro(context, "{rcpt_addr}")};
    }
    peer.session.queue_id(macro(context, "i"));
    return answer_to(context, peer, [&](Session& session, Session::Done done) {
      session.rcpt(rcpt_event(argument(argv), macros, (peer.steps & SMFIP_RCPT_REJ) != 0), services->clock.now(),
                   std::move(done));
    });
  });
}

sfsistat on_data(SMFICTX* context) {
  return guarded(context, [&](Peer& peer) {
    peer.session.queue_id(macro(context, "i"));
    return answer_to(context, peer, [&](Session& session, Session::Done done) {
      session.data(services->clock.now(), std::move(done));
    });
  });
}

sfsistat on_header(SMFICTX* context, char* name, char* value) {
  return guarded(context, [&](Peer& peer) {
    const std::string_view text = value;
    const auto folds = std::count(text.begin(), text.end(), '\n');
    const std::size_t blank = (peer.steps & SMFIP_HDR_LEADSPC) != 0 ? 0 : 1;
    peer.session.content(static_cast<std::int64_t>(std::string_view(name).size() + 1 + blank + text.size() + 2) +
                         folds);
    return unless_silent(peer, SMFIP_NR_HDR, SMFIS_CONTINUE);
  });
}

sfsistat on_end_of_header(SMFICTX* context) {
  return guarded(context, [&](Peer& peer) {
    peer.session.content(2);
    return unless_silent(peer, SMFIP_NR_EOH, SMFIS_CONTINUE);
  });
}

sfsistat on_body(SMFICTX* context, unsigned char*, std::size_t length) {
  return guarded(context, [&](Peer& peer) {
    peer.session.content(static_cast<std::int64_t>(length));
    return unless_silent(peer, SMFIP_NR_BODY, SMFIS_CONTINUE);
  });
}

sfsistat on_end_of_message(SMFICTX* context) {
  return guarded(context, [&](Peer& peer) {
    peer.session.queue_id(macro(context, "i"));
    return answer_to(context, peer, [&](Session& session, Session::Done done) {
      session.end_of_message(services->clock.now(), std::move(done));
    });
  });
}

sfsistat on_abort(SMFICTX* context) {
  return guarded(context, [&](Peer& peer) {
    peer.session.abort(services->clock.now());
    peer.count();
    return SMFIS_CONTINUE;
  });
}

sfsistat on_close(SMFICTX* context) {
  std::unique_ptr<Peer> peer(peer_of(context));
  smfi_setpriv(context, nullptr);
  if (peer == nullptr) return SMFIS_CONTINUE;  // a connection that never negotiated
  try {
    peer->session.abort(services->clock.now());
  } catch (const std::exception& error) {
    std::fputs(fmt::format("replygate: internal error: {}\n", error.what()).c_str(), stderr);
  }
  peer.reset();
  traffic.end_session();
  return SMFIS_CONTINUE;
}

smfiDesc description() {
  static char name[] = "replygate";
  smfiDesc d{};
  d.xxfi_name = name;
  d.xxfi_version = SMFI_VERSION;
  d.xxfi_flags = SMFIF_SETSYMLIST;
  d.xxfi_connect = on_connect;
  d.xxfi_helo = on_helo;
  d.xxfi_envfrom = on_mail;
  d.xxfi_envrcpt = on_rcpt;
  d.xxfi_header = on_header;
  d.xxfi_eoh = on_end_of_header;
  d.xxfi_body = on_body;
  d.xxfi_eom = on_end_of_message;
  d.xxfi_abort = on_abort;
  d.xxfi_close = on_close;
  d.xxfi_data = on_data;
  d.xxfi_negotiate = on_negotiate;
  return d;
}

}  // namespace

tl::expected<std::unique_ptr<MilterDoor>, std::string> MilterDoor::open(const SocketAddress& address,
                                                                        DoorServices given) {
  // smfi_opensocket would silently take the path of a running process over.
  if (touch(address)) return tl::unexpected(fmt::format("{} is in use by another process", address.text()));
  services = new DoorServices(std::move(given));
  std::string text = address.text();
  const mode_t before = ::umask(0117);
  const bool listening = smfi_register(description()) == MI_SUCCESS && smfi_setconn(text.data()) == MI_SUCCESS &&
                         smfi_opensocket(true) == MI_SUCCESS;
  ::umask(before);
  if (!listening) {
    return tl::unexpected(fmt::format("cannot listen on {}; syslog (facility mail) has libmilter's reason", text));
  }
  return std::unique_ptr<MilterDoor>(new MilterDoor(address));
}

MilterDoor::~MilterDoor() = default;

bool MilterDoor::serve() { return smfi_main() == MI_SUCCESS; }

bool MilterDoor::quiet() { return traffic.quiet(); }

void MilterDoor::drain(std::chrono::milliseconds patience) { traffic.drain(patience); }

// smfi_stop waits for the listener, which looks up only when somebody connects, or every five seconds.
void MilterDoor::stop() {
  const auto stopped = std::async(std::launch::async, [] { smfi_stop(); });
  do {
    touch(address_);
  } while (stopped.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready);
  touch(address_);
}

}  // namespace replygate
