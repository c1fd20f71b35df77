#include "policy/decide/session.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "policy/decide/session_address.h"
#include "policy/mail/domain.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kMostUsual = 64;    // recipients that there is room for before they come
constexpr std::size_t kMostAnswers = 64;  // what is asked again is in the cache of the source

// Names of hosts are compared as DNS has them; what is no name stays as it is.
std::string canonical_host(const std::string& name) {
  return is_canonical_name(name) ? name : canonical_domain(name).value_or(name);
}

bool refused(const JudgedRecipient& r) { return r.recipient.mta_refused || r.verdict.kind == Verdict::Kind::refuse; }

}  // namespace

// The answer that an event is owed. Whoever may give it has a ticket; where the last one goes and nobody has given it,
// since an exception went through whoever should have, on whatever thread, the event has failed. The session uses one
// again once its tickets are gone.
class Session::Due {
 public:
  explicit Due(Session& session) : session_(session) {}
  Due(const Due&) = delete;
  Due& operator=(const Due&) = delete;

  // The last ticket is gone, and what its end may have called for is over.
  bool idle() const { return holders_.load(std::memory_order_acquire) == 1; }
  void begin(Done done, Instant now) {
    done_ = std::move(done);
    now_ = now;
    attempts_ = 2;
  }
  void tell(Answer&& answer) {
    const Done done = std::exchange(done_, nullptr);
    done(std::move(answer));
  }

  friend void intrusive_ptr_add_ref(Due* due) {
    due->tickets_.fetch_add(1, std::memory_order_relaxed);
    due->holders_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(Due* due) {
    if (due->tickets_.fetch_sub(1, std::memory_order_acq_rel) == 1) due->lapse();
    due->forget();
  }
  // Of its holders one less.
  void forget() {
    if (holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  ~Due() = default;

  void lapse() {
    if (!done_) return;
    session_.fail(now_);
    while (done_ && attempts_-- > 0) give_up();
  }

  // Memory may be wanting, for a moment.
  void give_up() noexcept try {
    Answer answer = session_.internal_error();
    tell(std::move(answer));
  } catch (...) {
    return;
  }

  Session& session_;
  Done done_;
  Instant now_;
  int attempts_ = 0;
  std::atomic<int> tickets_{0};
  std::atomic<int> holders_{1};  // tickets, and the session
};

void Session::Forget::operator()(Due* due) const { due->forget(); }

Session::Done Session::once(Done done, Instant now) {
  if (due_ == nullptr || !due_->idle()) due_.reset(new Due(*this));
  boost::intrusive_ptr<Due> ticket(due_.get());
  due_->begin(std::move(done), now);
  // Moved, since a callback that may throw when it is moved would want memory.
  return [ticket = std::move(ticket)](Answer&& answer) { ticket->tell(std::move(answer)); };
}

Session::Session(std::shared_ptr<const Policy> policy, Services services, const Door& door)
    : policy_(std::move(policy)), services_(services), door_(door), id_(services.references.next()) {}

Session::~Session() {
  if (open_ != nullptr) services_.gate.give_back(open_->reservations, last_);
}

void Session::connect(ConnectEvent event, Instant now, Done done) {
  const Site& site = policy_->site();
  connection_.ip = event.ip;
  if (event.ip) {
    connection_.ip_text = event.ip->text();
    connection_.net = IpNetwork::around(*event.ip, event.ip->is_v4() ? site.ipv4_prefix : site.ipv6_prefix).text();
  }
  connection_.name = canonical_host(event.name);
  connection_.port = event.port;
  connection_.listener = std::move(event.listener);
  connection_.local_submission = event.local_submission;
  connection_.server = event.server;
  connection_.server_port = event.server_port;
  connection_.since = now;
  judge_session(Stage::connect, now, once(std::move(done), now));
}

void Session::helo(const std::string& name, Instant now, Done done) {
  abort(now);
  connection_.helo = canonical_host(name);
  at_helo_.reset();  // a new greeting, after STARTTLS for instance, is judged anew
  judge_session(Stage::helo, now, once(std::move(done), now));
}

void Session::mail(MailEvent event, Instant now, Done done) {
  abort(now);
  ++connection_.messages;
  answers_.forget();
  connection_.tls = event.tls.version.empty() ? Tls() : std::move(event.tls);
  open_ = std::make_unique<Open>();
  open_->ref = services_.references.next();
  open_->begun = now;
  open_->recipients.reserve(usual_recipients_);
  Transaction& t = open_->facts;
  open_->octets = sizeof(Open) + usual_recipients_ * sizeof(JudgedRecipient) +
                  4 * (event.sender.size() + event.rewritten.size() + event.user.size());
  t.sender = canonical_sender(event, policy_->site());
  t.sender_raw = std::move(event.sender);
  t.set_user(canonical_login(event.user), policy_->site().subaddress);
  if (!t.user.empty()) t.mechanism = std::move(event.mechanism);
  t.declared_size = declared_size(event.parameters);
  t.smtputf8 = has_parameter(event.parameters, "SMTPUTF8");
  t.sender_login_mismatch = is_mismatch(t, policy_->site());
  t.queue_id = std::move(event.queue_id);
  if (policy_->needs().digest) open_->digest = std::make_unique<ContentDigest>();
  begin_message(now, once(std::move(done), now));
}

void Session::rcpt(RcptEvent event, Instant now, Done done) {
  if (open_ == nullptr) return done({.refusal = default_reply("local-error")});
  done = once(std::move(done), now);
  if (answers_.size() > kMostAnswers) answers_.forget();
  JudgedRecipient& judged = open_->recipients.emplace_back();
  judged.ref = open_->recipients.size() == 1 ? open_->ref : services_.references.next();
  judged.time = now;
  if (open_->recipients.size() == 2) keep_truths();
  Recipient& recipient = judged.recipient;
  open_->octets += open_->recipients.size() > usual_recipients_ ? sizeof(JudgedRecipient) : 0;
  open_->octets += 4 * (event.recipient.size() + event.rewritten.size());
  recipient.address = canonical_recipient(event, policy_->site());
  recipient.raw = std::move(event.recipient);
  recipient.route = std::move(event.route);
  recipient.mta_refused = event.mta_refused;
  recipient.mta_status = std::move(event.mta_status);
  recipient.mta_text = std::move(event.mta_text);
  recipient.external = is_external(recipient, policy_->site());
  const bool may_be_dead = policy_->needs().dead && services_.dead != nullptr && recipient.external.value_or(true) &&
                           recipient.address.domain() != policy_->site().default_domain;
  recipient.dead = may_be_dead && services_.dead->is_dead(recipient.address);
  if (!recipient.mta_refused) ++open_->facts.recipients;
  const bool postmaster = is_postmaster(recipient.address, policy_->site());
  const Verdict* waiting = postmaster ? open_->spared.get() : open_->limited.get();
  if (waiting != nullptr && refuses(*waiting) && !recipient.mta_refused) return refuse_waiting(*waiting, now, done);
  // What is external has its mailbox elsewhere.
  if (recipient.external == true) recipient.mailbox_used = MailboxUse::none();
  if (!policy_->needs().mailbox || services_.mailboxes == nullptr || recipient.mta_refused ||
      recipient.external == true) {
    return judge_recipient(now, std::move(done));
  }
  services_.mailboxes->used(without_tag(recipient.address), open_->facts.declared_size,
                            [this, now, done = std::move(done)](MailboxUse use) mutable {
                              open_->recipients.back().recipient.mailbox_used = use;
                              judge_recipient(now, std::move(done));
                            });
}

// A message with one recipient judges each condition once anyway.
void Session::keep_truths() {
  const std::size_t conditions = policy_->kept_conditions();
  if (conditions == 0) return;
  open_->kept = std::make_unique<KeptTruths>(conditions);
  open_->octets += open_->kept->octets();
}

void Session::data(Instant now, Done done) {
  if (open_ == nullptr) return done({.refusal = default_reply("local-error")});
  judge_message(Stage::data, now, once(std::move(done), now));
}

void Session::header(std::string_view name, std::string_view value, std::int64_t octets) {
  if (open_ == nullptr) return;
  Transaction& t = open_->facts;
  t.size += octets;
  ++t.header_count;
  if (open_->digest) open_->digest->header(name, value);
  std::string lowered = to_lower(name);
  if (std::ranges::find(policy_->needs().headers, lowered) == policy_->needs().headers.end()) return;
  Header& kept = t.headers.emplace_back(Header{std::move(lowered), std::string(value)});
  std::erase_if(kept.value, [](char c) { return c == '\r' || c == '\n'; });
  open_->octets += sizeof(Header) + kept.name.size() + kept.value.size();
}

void Session::end_of_headers(Instant now, Done done) {
  if (open_ == nullptr) return done({.refusal = default_reply("local-error")});
  open_->facts.size += 2;
  judge_message(Stage::header, now, once(std::move(done), now));
}

void Session::body(std::string_view octets) {
  if (open_ == nullptr) return;
  open_->facts.size += static_cast<std::int64_t>(octets.size());
  if (open_->digest) open_->digest->body(octets);
}

void Session::content(std::int64_t octets, std::string digest) {
  if (open_ == nullptr) return;
  open_->facts.size = octets;
  open_->facts.digest = std::move(digest);
  open_->digest.reset();
}

void Session::end_of_message(Instant now, Done done) {
  if (open_ == nullptr) return done({.refusal = default_reply("local-error")});
  if (open_->digest) open_->facts.digest = open_->digest->finish();
  judge_message(Stage::message, now, once(std::move(done), now));
}

std::size_t Session::footprint() const { return tally_.octets() + (open_ == nullptr ? 0 : open_->octets); }

void Session::queue_id(std::string_view id) {
  if (open_ != nullptr && !id.empty()) open_->facts.queue_id = id;
}

void Session::abort(Instant now) {
  if (open_ == nullptr) return;
  const bool all_refused = !open_->recipients.empty() && std::ranges::all_of(open_->recipients, refused);
  finish(all_refused ? Ending::refused : Ending::aborted, now);
}

void Session::finish(Ending ending, Instant now) {
  const std::unique_ptr<Open> ended = std::move(open_);
  usual_recipients_ = std::clamp<std::size_t>(ended->recipients.size(), 1, kMostUsual);
  if (!ended->reservations.empty()) services_.gate.give_back(ended->reservations, now);
  tally_.end_message(ending == Ending::accepted && ended->others > 0);
  record(ending, std::move(*ended), now);
}

// What was decided holds though its record is lost.
void Session::record(Ending ending, Open&& ended, Instant now) noexcept try {
  services_.sink.write({.policy = policy_,
                        .time = now,
                        .begun = ended.begun == Instant() ? now : ended.begun,
                        .door = door_.name,
                        .session = id_,
                        .ref = std::move(ended.ref),
                        .connection = connection_,
                        .transaction = std::move(ended.facts),
                        .recipients = std::move(ended.recipients),
                        .message = std::move(ended.message),
                        .disposition = ending == Ending::accepted ? std::move(ended.effect.disposition) : Disposition(),
                        .ending = ending});
} catch (...) {
  return;
}

void Session::fail(Instant now) noexcept {
  const bool passes = policy_->settings().on_error == OnError::accept || connection_.local_submission;
  if (!passes && open_ != nullptr) finish(Ending::aborted, now);
}

Answer Session::internal_error() const {
  if (policy_->settings().on_error == OnError::accept || connection_.local_submission) return {};
  return {.refusal = default_reply("local-error")};
}

}  // namespace replygate
