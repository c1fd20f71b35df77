#include "milter/door/libmilter.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmilter/mfapi.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <future>
#include <optional>
#include <thread>
#include <vector>

#include "milter/door/mta_events.h"
#include "milter/door/traffic.h"
#include "milter/door/waiter.h"
#include "milter/guarded.h"
#include "milter/log/say.h"
#include "milter/net/local_peer.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

// libmilter hands its callbacks no pointer of ours before a session has one, so the services are global to this file.
// They are never destroyed, since libmilter's threads are never joined.
const DoorServices* services = nullptr;

// What libmilter keeps for us from negotiation to close. Its callbacks come one at a time, on changing threads.
struct Peer {
  explicit Peer(const DoorServices& s) : policy(s.policy_now()), session(policy, s.of_session(), {}) {}
  ~Peer() {
    if (counted) services->traffic.end_transaction();
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  std::shared_ptr<const Policy> policy;
  Session session;
  unsigned long steps = 0;                           // the SMFIP_* in force
  bool counted = false;                              // as an open transaction
  const bool shut_out = services->traffic.closed();  // the session began while none was wanted
  bool late = false;                                 // the transaction began while none is wanted
  // What one thread has done the next one sees, whatever the library does between its callbacks.
  std::atomic<unsigned> turns{0};

  // To be called behind each event that may begin or end a transaction.
  void count() {
    if (session.in_transaction() == counted) return;
    counted = !counted;
    counted ? services->traffic.begin_transaction() : services->traffic.end_transaction();
  }
};

Peer* peer_of(SMFICTX* context) { return static_cast<Peer*>(smfi_getpriv(context)); }

class LibmilterMacros final : public MacroSource {
 public:
  explicit LibmilterMacros(SMFICTX* context) : context_(context) {}
  std::string_view get(std::string_view name) const override {
    std::string key(name);
    const char* value = smfi_getsymval(context_, key.data());
    return value == nullptr ? std::string_view() : value;
  }

 private:
  SMFICTX* context_;
};

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
  const Reply plain = default_reply("local-error");
  code = std::to_string(plain.code());
  enhanced = plain.enhanced().text();
  std::string text = plain.text();
  smfi_setreply(context, code.data(), enhanced.data(), text.data());
  return SMFIS_TEMPFAIL;
}

// What changes the message comes before the verdict on its end. An MTA that refuses a change gets the mail again later.
sfsistat dispose(SMFICTX* context, const Peer& peer, const Disposition& disposition) {
  if (disposition.discard) return SMFIS_DISCARD;
  bool well = true;
  for (const Header& header : disposition.headers) {
    std::string name = header.name;
    std::string value = added_value(header.value, (peer.steps & SMFIP_HDR_LEADSPC) != 0);
    well &= smfi_addheader(context, name.data(), value.data()) == MI_SUCCESS;
  }
  if (std::string reason = disposition.hold; !reason.empty()) {
    well &= smfi_quarantine(context, reason.data()) == MI_SUCCESS;
  }
  return well ? SMFIS_CONTINUE : give(context, default_reply("local-error"));
}

// Runs one event of a session and waits for its answer; the store keeps the deadline.
template <typename Event>
sfsistat answer_to(SMFICTX* context, Peer& peer, Stage stage, Event event) {
  Stopwatch stopwatch;
  stopwatch.start();
  Waiter waiter;
  event(peer.session, waiter.done());
  const Answer answer = waiter.wait();
  services->times.note(stage, answer.rule, stopwatch.took());
  peer.count();
  return answer.refusal ? give(context, *answer.refusal) : dispose(context, peer, answer.disposition);
}

// Nothing may leave a callback: an exception would end the process. Without a session the MTA shall try later.
template <typename Body>
sfsistat guarded(SMFICTX* context, Body body) {
  Peer* peer = peer_of(context);
  try {
    if (peer != nullptr) {
      peer->turns.load(std::memory_order_acquire);
      const sfsistat verdict = body(*peer);
      peer->turns.fetch_add(1, std::memory_order_acq_rel);
      return verdict;
    }
    say("milter event without negotiation");
  } catch (const std::exception&) {
    say_caught("milter");
    if (peer == nullptr) return SMFIS_TEMPFAIL;
    peer->session.fail(services->clock.now());
    peer->count();
    const Answer answer = peer->session.internal_error();
    return answer.refusal ? give(context, *answer.refusal) : SMFIS_CONTINUE;
  }
  return SMFIS_TEMPFAIL;
}

// A reply that the MTA does not wait for must not be sent.
sfsistat unless_silent(const Peer& peer, unsigned long flag, sfsistat status) {
  return (peer.steps & flag) != 0 ? SMFIS_NOREPLY : status;
}

void ask_for_macros(SMFICTX* context, const Needs& needs) {
  for (const MacroWish& wish : macro_wishes(needs)) {
    std::string list(wish.names);
    smfi_setsymlist(context, static_cast<int>(wish.stage), list.data());
  }
}

sfsistat on_negotiate(SMFICTX* context, unsigned long actions, unsigned long steps, unsigned long, unsigned long,
                      unsigned long* granted_actions, unsigned long* wanted, unsigned long* reserved2,
                      unsigned long* reserved3) {
  try {
    auto peer = std::make_unique<Peer>(*services);
    const Needs& needs = peer->policy->needs();
    peer->steps = wanted_steps(needs) & static_cast<std::uint32_t>(steps);
    *wanted = peer->steps;
    *granted_actions = wanted_actions(needs);
    if ((actions & *granted_actions) != *granted_actions) return SMFIS_REJECT;
    *reserved2 = 0;
    *reserved3 = 0;
    if ((actions & SMFIF_SETSYMLIST) != 0) {
      *granted_actions |= SMFIF_SETSYMLIST;
      ask_for_macros(context, needs);
    }
    smfi_setpriv(context, peer.release());
    services->traffic.begin_session();
    return SMFIS_CONTINUE;
  } catch (const std::exception&) {
    return SMFIS_REJECT;  // the MTA does as its default action says
  }
}

struct ClientAddress {
  std::optional<IpAddress> ip;
  std::uint16_t port = 0;
};

ClientAddress client_address(const _SOCK_ADDR* address) {
  if (address != nullptr && address->sa_family == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address);
    return {IpAddress::v4(ntohl(in->sin_addr.s_addr)), ntohs(in->sin_port)};
  }
  if (address != nullptr && address->sa_family == AF_INET6) {
    const auto* in6 = reinterpret_cast<const sockaddr_in6*>(address);
    IpAddress::Bytes bytes{};
    std::copy_n(std::begin(in6->sin6_addr.s6_addr), bytes.size(), bytes.begin());
    return {IpAddress(bytes), ntohs(in6->sin6_port)};
  }
  return {};
}

sfsistat on_connect(SMFICTX* context, char* host, _SOCK_ADDR* address) {
  return guarded(context, [&](Peer& peer) {
    const ClientAddress client = client_address(address);
    const sfsistat status = answer_to(context, peer, Stage::connect, [&](Session& session, Session::Done done) {
      session.connect(connect_event(host == nullptr ? "" : host, client.ip, client.port, LibmilterMacros(context)),
                      services->clock.now(), std::move(done));
    });
    return unless_silent(peer, SMFIP_NR_CONN, status);
  });
}

sfsistat on_helo(SMFICTX* context, char* name) {
  return guarded(context, [&](Peer& peer) {
    const Instant now = services->clock.now();
    peer.session.abort(now);
    const sfsistat status = answer_to(context, peer, Stage::helo, [&](Session& session, Session::Done done) {
      session.helo(name == nullptr ? "" : name, now, std::move(done));
    });
    return unless_silent(peer, SMFIP_NR_HELO, status);
  });
}

std::vector<std::string_view> arguments(char** argv) {
  std::vector<std::string_view> list;
  for (; argv != nullptr && *argv != nullptr; ++argv) list.emplace_back(*argv);
  return list;
}

sfsistat refuse_while_draining(SMFICTX* context) { return give(context, default_reply("service-unavailable")); }

sfsistat on_mail(SMFICTX* context, char** argv) {
  return guarded(context, [&](Peer& peer) {
    peer.late = peer.shut_out || services->traffic.draining();
    if (peer.late) return (peer.steps & SMFIP_NR_MAIL) != 0 ? SMFIS_NOREPLY : refuse_while_draining(context);
    const sfsistat status = answer_to(context, peer, Stage::mail, [&](Session& session, Session::Done done) {
      session.mail(mail_event(arguments(argv), LibmilterMacros(context)), services->clock.now(), std::move(done));
    });
    return unless_silent(peer, SMFIP_NR_MAIL, status);
  });
}

sfsistat on_rcpt(SMFICTX* context, char** argv) {
  return guarded(context, [&](Peer& peer) {
    if (peer.late) return refuse_while_draining(context);
    const LibmilterMacros macros(context);
    peer.session.queue_id(macros.get("i"));
    const auto list = arguments(argv);
    RcptEvent event = rcpt_event(list.empty() ? "" : list.front(), macros, (peer.steps & SMFIP_RCPT_REJ) != 0);
    return answer_to(context, peer, Stage::rcpt, [&](Session& session, Session::Done done) {
      session.rcpt(std::move(event), services->clock.now(), std::move(done));
    });
  });
}

sfsistat on_data(SMFICTX* context) {
  return guarded(context, [&](Peer& peer) {
    peer.session.queue_id(LibmilterMacros(context).get("i"));
    return answer_to(context, peer, Stage::data, [&](Session& session, Session::Done done) {
      session.data(services->clock.now(), std::move(done));
    });
  });
}

sfsistat on_header(SMFICTX* context, char* name, char* value) {
  return guarded(context, [&](Peer& peer) {
    peer.session.header(name, header_value(value), header_octets(name, value, (peer.steps & SMFIP_HDR_LEADSPC) != 0));
    return unless_silent(peer, SMFIP_NR_HDR, SMFIS_CONTINUE);
  });
}

sfsistat on_end_of_header(SMFICTX* context) {
  return guarded(context, [&](Peer& peer) {
    const sfsistat status = answer_to(context, peer, Stage::header, [&](Session& session, Session::Done done) {
      session.end_of_headers(services->clock.now(), std::move(done));
    });
    return unless_silent(peer, SMFIP_NR_EOH, status);
  });
}

sfsistat on_body(SMFICTX* context, unsigned char* octets, std::size_t length) {
  return guarded(context, [&](Peer& peer) {
    peer.session.body({reinterpret_cast<const char*>(octets), length});
    return unless_silent(peer, SMFIP_NR_BODY, SMFIS_CONTINUE);
  });
}

sfsistat on_end_of_message(SMFICTX* context) {
  return guarded(context, [&](Peer& peer) {
    peer.session.queue_id(LibmilterMacros(context).get("i"));
    return answer_to(context, peer, Stage::message, [&](Session& session, Session::Done done) {
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
  peer->turns.load(std::memory_order_acquire);
  try {
    peer->session.abort(services->clock.now());
  } catch (const std::exception& error) {
    say(fmt::format("internal error: {}", error.what()));
  }
  peer.reset();
  services->traffic.end_session();
  return SMFIS_CONTINUE;
}

smfiDesc description() {
  static char name[] = "replygate";
  smfiDesc d{};
  d.xxfi_name = name;
  d.xxfi_version = SMFI_VERSION;
  d.xxfi_flags = SMFIF_SETSYMLIST | SMFIF_ADDHDRS | SMFIF_QUARANTINE;
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

class LibmilterDoor final : public MilterDoor {
 public:
  explicit LibmilterDoor(SocketAddress address) : address_(std::move(address)) {}
  ~LibmilterDoor() override {
    if (thread_.joinable()) thread_.detach();  // of a process that ends without stop()
  }

  void start(std::function<void(bool well)> ended) override {
    thread_ = std::thread([ended = std::move(ended)] {
      name_thread("milter");  // libmilter's own threads inherit it
      const bool well = smfi_main() == MI_SUCCESS;
      if (!well) say("libmilter gave up");
      ended(well);
    });
  }

  // The library makes a thread for whoever comes; none serves all.
  void probe(std::function<void()> done) override { done(); }

  // The library would cut open sessions, so that new transactions need not be let in.
  void drain(std::chrono::milliseconds patience) override {
    services->traffic.drain(std::chrono::milliseconds(0), patience);
  }

  // smfi_stop waits for the listener, which looks up only when somebody connects, or every five seconds.
  bool stop() override {
    const auto stopped = std::async(std::launch::async, [] { smfi_stop(); });
    do {
      wake_listener(address_);
    } while (stopped.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready);
    wake_listener(address_);
    thread_.join();
    return services->traffic.sessions() == 0;
  }

 private:
  SocketAddress address_;
  std::thread thread_;
};

}  // namespace

tl::expected<std::unique_ptr<MilterDoor>, std::string> open_libmilter_door(const DoorServices& given) {
  const Settings& settings = given.policy->settings();
  const auto address = SocketAddress::parse(settings.listen.front()).value();
  // smfi_opensocket would silently take the path of a running process over.
  if (auto may = may_listen_on(address); !may) return tl::unexpected(may.error());
  services = new DoorServices(given);
  std::string text = address.text();
  smfi_settimeout(static_cast<int>(settings.bounds.idle / std::chrono::seconds(1)));
  const mode_t before = ::umask(0117);
  const bool listening = smfi_register(description()) == MI_SUCCESS && smfi_setconn(text.data()) == MI_SUCCESS &&
                         smfi_opensocket(true) == MI_SUCCESS;
  ::umask(before);
  if (!listening) {
    return tl::unexpected(fmt::format("cannot listen on {}; syslog (facility mail) has libmilter's reason", text));
  }
  return std::make_unique<LibmilterDoor>(address);
}

}  // namespace replygate
