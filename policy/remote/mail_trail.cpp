#include "policy/remote/mail_trail.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "policy/remote/handed_on.h"
#include "policy/remote/kept_event.h"
#include "policy/remote/log_fields.h"

namespace replygate {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr std::size_t kMostMessages = 100000;
constexpr std::size_t kMostLogins = 10000;
constexpr int kLongestChain = 8;
// Lines of two processes may change places.
constexpr Duration kGrace = seconds(2);
constexpr Duration kKept = seconds(60);  // a message whose queue file is gone
constexpr Duration kLongestUntold = hours(1);
// A filter answers when it has handed the message back, which may be delivered by then.
constexpr Duration kFilterAnswers = seconds(30);
constexpr std::size_t kMostHeld = 20000;
constexpr std::size_t kMostFilters = 64;

// Each of "<a@b.example>,<c@d.example>".
template <typename Take>
void each_recipient(std::string_view list, Take take) {
  while (const auto one = take_bracketed(list)) {
    take(*one);
    if (list.starts_with(',')) list.remove_prefix(1);
  }
  if (!list.empty()) take(list);
}

}  // namespace

struct MailTrail::Message {
  struct Held {
    Instant time;
    KeptEvent event;
    std::string recipient;
    bool handed_on;
  };

  LoggedMail mail;
  std::string key;
  Known origin;            // whose copy it is
  bool handed_in = false;  // by a client or a user
  bool requeued = false;   // the same message under another id
  bool notice = false;
  bool enveloped = false;  // its sender is known
  bool told = false;
  bool removed = false;
  bool refused = false;  // at its end: nobody has it
  Instant ready{};       // since when nothing more is to come; 0: not yet
  Instant gone{};        // of its queue file
  std::int64_t attempts = 0;
  std::int64_t open = 1;                          // it and its copies, until they are retired
  std::int64_t seen_recipients = 0;               // after expansion
  std::vector<Held> held;                         // attempts that are not told yet
  boost::unordered_flat_set<std::uint64_t> seen;  // hashes of recipients, before and after expansion

  // Whether it is the first time.
  bool take_envelope(const LogEvent& event) {
    if (std::exchange(enveloped, true)) return false;
    mail.sender = event.sender;
    mail.size = event.size;
    mail.expected = event.recipients;
    return true;
  }

  // Whether it is the first time.
  bool note(std::string_view address, std::uint64_t kind) {
    return seen.insert(std::hash<std::string_view>{}(address) * 2 + kind).second;
  }
};

const MailTrail::Known& MailTrail::root_of(const Known& message) {
  const Known* root = &message;
  for (int i = 0; (*root)->origin && i <= kLongestChain; ++i) root = &(*root)->origin;
  return *root;
}

MailTrail::Known MailTrail::find(std::string_view id) const {
  const auto found = messages_.find(key_of(id));
  return found == messages_.end() ? nullptr : found->second;
}

bool MailTrail::is_known_elsewhere(const LogEvent& event) const {
  return std::ranges::any_of(hosts_, [&](const auto& host) {
    return host.first != event.host && messages_.contains(std::string(1, host.second) + std::string(event.id));
  });
}

// Lines of two processes may have changed places: what the queue has said of a message before its client was named.
MailTrail::Known MailTrail::begun_just_now(std::string_view id) const {
  const Known message = find(id);
  const bool same = message && !message->handed_in && !message->removed && message->mail.time + kGrace >= now_;
  return same ? message : nullptr;
}

MailTrail::Known MailTrail::begin(std::string_view id, const LogEvent& event) {
  auto message = std::make_shared<Message>();
  message->mail.time = now_;
  message->mail.mta = event.mta;
  message->mail.id = id;
  message->key = key_of(id);
  Known& place = messages_[message->key];
  if (place) place->removed = true;  // the id is used again
  place = message;
  begun_.push_back(message);
  return message;
}

void MailTrail::take_client(const LogEvent& event) {
  const Known early = begun_just_now(event.id);
  const Known message = early ? early : begin(event.id, event);
  LoggedMail& mail = message->mail;
  mail.client_name = event.client_name;
  mail.client_ip = event.client_ip;
  mail.user = event.user;
  mail.mechanism = event.mechanism;
  if (!event.sender.empty()) mail.sender = event.sender;
  mail.local = event.local;
  message->handed_in = true;
  const Known origin = event.next.empty() ? nullptr : find(event.next);
  message->requeued = origin && link(origin, message) && event.local;
  waiting_.push_back(message);
}

void MailTrail::take_login(const LogEvent& event) {
  if (logins_.size() >= kMostLogins) logins_.clear();
  logins_[key_of(event.pid)] = {std::string(event.client_ip), std::string(event.user), std::string(event.mechanism)};
}

void MailTrail::take_sender(const LogEvent& event) {
  const bool names_client = event.mta != LogMta::postfix;
  if (names_client) take_client(event);
  Known message = find(event.id);
  if (!message) message = begin(event.id, event);
  // What was put back before the queue had seen it is seen under its next id for the first time.
  if (message->requeued) message->origin->take_envelope(event);
  if (!message->take_envelope(event)) return;  // a later run of the queue
  LoggedMail& mail = message->mail;
  const auto login = names_client && mail.user.empty() ? logins_.find(key_of(event.pid)) : logins_.end();
  if (login == logins_.end()) return;
  if (login->second.client_ip == mail.client_ip) {
    mail.user = login->second.user;
    mail.mechanism = login->second.mechanism;
  } else {
    logins_.erase(login);  // the process serves another client
  }
}

bool MailTrail::link(const Known& from, const Known& to) {
  if (to->origin) return true;
  if (from == to || to->told) return false;
  Known root = from;
  for (int i = 0; root->origin; ++i) {
    if (root->origin == to || i > kLongestChain) return false;
    root = root->origin;
  }
  to->origin = root;
  ++root->open;
  tell_held(to);
  return true;
}

bool MailTrail::may_be_copy(const Message& message) const {
  const std::string& from = message.mail.client_ip;
  const bool waits = message.handed_in && !message.origin && !message.told && message.mail.mta != LogMta::exim;
  return waits && (is_this_host(from) || filters_.contains(from)) && !listener_.is_known(message.mail);
}

void MailTrail::tell(Instant time, const Known& message, const LogEvent& event, std::string_view recipient,
                     bool handed_on) {
  const Known& root = root_of(message);
  if (held_ < kMostHeld && may_be_copy(*root)) {
    ++held_;
    root->held.push_back({time, KeptEvent(event), std::string(recipient), handed_on});
    return;
  }
  const LoggedMail* mail = root->handed_in ? &root->mail : nullptr;
  if (gives_up(event)) return listener_.expired(time, mail, event.id);
  listener_.attempt(time, mail, event, recipient, handed_on);
  const auto next = handed_on ? messages_.find(message->key.front() + std::string(next_id_of(event))) : messages_.end();
  if (next != messages_.end() && next->second->removed) listener_.gone(next->second->mail.id);
}

void MailTrail::tell_held(const Known& message) {
  const auto held = std::exchange(message->held, {});
  held_ -= held.size();
  for (const auto& h : held) tell(h.time, message, h.event.event(), h.recipient, h.handed_on);
}

// What a remote server calls its copy is its own affair, though it be an id of ours: the copy must have come from where
// the message went.
bool MailTrail::take_next(const Known& message, const LogEvent& event) {
  const std::string_view id = next_id_of(event);
  if (id.empty()) return false;
  Known next = find(id);
  const bool is_older = next && next->mail.time < message->mail.time;
  if (event.program.ends_with("/local")) {
    if (!event.text.starts_with("forwarded as ")) return false;
    if (!next || is_older) next = begin(id, event);  // the queue will name it in a moment
    return !next->handed_in && link(message, next);
  }
  if (!next || is_older) return false;
  const std::string_view relay = address_of_relay(event.relay);
  const bool from_there = !relay.empty() && next->handed_in && relay == next->mail.client_ip;
  const bool here = is_this_host(relay) && is_this_host(next->mail.client_ip);
  if (!(from_there || here) || !link(message, next)) return false;
  if (filters_.size() < kMostFilters) filters_.emplace(relay);
  return true;
}

void MailTrail::note_recipient(Message& message, const LogEvent& event, std::string_view recipient) const {
  if (message.told || !message.note(recipient, 0)) return;
  ++message.seen_recipients;
  const std::string_view addressed = event.original.empty() ? recipient : event.original;
  if (message.note(addressed, 1)) message.mail.recipients.emplace_back(addressed);
  const bool complete = message.mail.expected > 0 && message.seen_recipients >= message.mail.expected;
  if (complete && message.ready == Instant()) message.ready = now_;
}

// What has no sender is word to one; what asks whether an address exists is no mail.
void MailTrail::tell_unowned(const Known& message, const LogEvent& event, std::string_view recipient, bool handed_on) {
  if (event.status == "deliverable" || event.status == "undeliverable") return;
  if (!message) {
    const bool next = is_this_host(address_of_relay(event.relay)) && find(next_id_of(event));
    return listener_.unowned(now_, event, recipient, next);
  }
  const Message& root = *root_of(message);
  const bool word = message->notice || root.notice || (root.enveloped && root.mail.sender.empty());
  if (!root.handed_in && !word) listener_.unowned(now_, event, recipient, handed_on);
}

void MailTrail::take_attempt(const Known& message, const LogEvent& event, std::string_view recipient) {
  ++figures_.attempts;
  if (!message) {
    ++figures_.orphans;
    listener_.attempt(now_, nullptr, event, recipient, false);
    return tell_unowned(message, event, recipient, false);
  }
  ++message->attempts;
  note_recipient(message->requeued ? *message->origin : *message, event, recipient);
  const bool handed_on = take_next(message, event);
  tell(now_, message, event, recipient, handed_on);
  tell_unowned(message, event, recipient, handed_on);
}

void MailTrail::take_attempt(const LogEvent& event) {
  const Known message = find(event.id);
  if (event.mta != LogMta::sendmail) return take_attempt(message, event, event.recipient);
  each_recipient(event.recipient, [&](std::string_view one) { take_attempt(message, event, one); });
}

void MailTrail::take_notice(const LogEvent& event) {
  Known word = find(event.next);
  if (!word) word = begin(event.next, event);
  word->notice = !word->handed_in;
}

void MailTrail::take_end(const LogEvent& event) {
  const Known message = find(event.id);
  tell_unowned(message, event, "", false);
  if (!message) return;
  tell(now_, message, event, "", false);
}

void MailTrail::take_removal(std::string_view id) {
  const Known message = find(id);
  if (!message) return;
  message->removed = true;
  message->gone = now_;
  if (message->ready == Instant()) message->ready = now_;
}

void MailTrail::take_refusal(const LogEvent& event) {
  const Known message = event.whole ? find(event.id) : nullptr;
  if (message && std::exchange(message->refused, true)) return;  // it is said once more for each recipient
  if (message) take_removal(event.id);
  listener_.refusal(now_, event);
}

void MailTrail::note_host(std::string_view host) {
  constexpr std::size_t kMostHosts = 255;  // all others share the last letter
  const auto known = hosts_.find(std::string(host));
  const auto next = static_cast<char>(std::min(hosts_.size(), kMostHosts));
  host_ = known == hosts_.end() ? next : known->second;
  if (known == hosts_.end() && hosts_.size() < kMostHosts) hosts_.emplace(host, next);
}

void MailTrail::take(Instant time, const LogEvent& event) {
  using Kind = LogEventKind;
  now_ = std::max(now_, time);
  note_host(event.host);
  switch (event.kind) {
    case Kind::login: take_login(event); break;
    case Kind::client: take_client(event); break;
    case Kind::sender: take_sender(event); break;
    case Kind::attempt: take_attempt(event); break;
    case Kind::notice: take_notice(event); break;
    case Kind::copy:
      if (const Known from = find(event.id)) link(from, find(event.next) ? find(event.next) : begin(event.next, event));
      break;
    case Kind::removed: take_removal(event.id); break;
    case Kind::refusal: take_refusal(event); break;
    case Kind::expired:
      if (!event.next.empty()) take_notice(event);
      break;
    default: break;
  }
  if (gives_up(event)) take_end(event);
  tell_ready();
  forget_old();
}

bool MailTrail::tell_first() {
  const Known first = std::move(waiting_.front());
  waiting_.pop_front();
  Message& message = *first;
  // One whose client went away before its end has no sender; a copy is its origin's.
  const bool tells = message.enveloped && !message.origin && !message.refused;
  message.told = true;
  if (tells) {
    ++figures_.mails;
    listener_.mail(message.mail);
  }
  tell_held(first);
  message.mail.recipients = {};
  message.seen = {};
  return tells;
}

void MailTrail::tell_ready() {
  while (!waiting_.empty()) {
    const Message& first = *waiting_.front();
    const Duration grace = first.held.empty() ? kGrace : kFilterAnswers;
    const bool ready = first.ready != Instant() && first.ready + grace < now_;
    if (!ready && first.mail.time + kLongestUntold > now_ && waiting_.size() <= kMostMessages) return;
    tell_first();
  }
}

void MailTrail::retire(const Known& message) {
  if (!message->held.empty()) {
    message->told = true;
    tell_held(message);
  }
  const Known& root = root_of(message);
  if (message->notice || root->notice) {
    figures_.notices += message->attempts;
  } else if (!root->handed_in) {
    figures_.orphans += message->attempts;
  }
  const auto found = messages_.find(message->key);
  if (found != messages_.end() && found->second == message) messages_.erase(found);
  close(*message);
}

void MailTrail::close(Message& message) {
  if (--message.open > 0) return;
  if (message.handed_in) listener_.over(message.mail);
  if (message.origin) close(*message.origin);
}

void MailTrail::forget_old() {
  while (!begun_.empty()) {
    const Message& first = *begun_.front();
    const bool over = first.removed && first.gone + kKept < now_ && (first.told || !first.handed_in);
    if (!over && begun_.size() <= kMostMessages) return;
    if (!over && !first.removed) ++figures_.forgotten;
    retire(begun_.front());
    begun_.pop_front();
  }
}

void MailTrail::finish() {
  while (!waiting_.empty()) tell_first();
  for (const Known& message : begun_) retire(message);
  begun_.clear();
}

}  // namespace replygate
