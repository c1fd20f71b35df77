#include "policy/session.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "policy/mail/text.h"

namespace replygate {
namespace {

std::int64_t declared_size(const std::vector<std::string>& parameters) {
  for (const std::string_view parameter : parameters) {
    if (parameter.size() < 6 || !equal_ignoring_case(parameter.substr(0, 5), "SIZE=")) continue;
    std::int64_t size = 0;
    std::from_chars(parameter.data() + 5, parameter.data() + parameter.size(), size);
    return std::max<std::int64_t>(size, 0);
  }
  return 0;
}

bool has_parameter(const std::vector<std::string>& parameters, std::string_view keyword) {
  return std::ranges::any_of(parameters, [&](std::string_view p) { return equal_ignoring_case(p, keyword); });
}

// A login may send as its own address; a login without a domain as its name at one of our domains.
bool mismatch(const Transaction& t, const Site& site) {
  if (t.user.empty() || t.sender.form == Address::Form::null || t.user == t.sender.full) return false;
  if (t.user.find('@') != std::string::npos || t.user != t.sender.local()) return true;
  return t.sender.domain() != site.default_domain && !site.local_domains->contains(t.sender.domain());
}

bool refused(const JudgedRecipient& r) { return r.recipient.mta_refused || r.verdict.kind == Verdict::Kind::refuse; }

}  // namespace

Session::Session(std::shared_ptr<const Policy> policy, Services services, const Door& door)
    : policy_(std::move(policy)), services_(services), door_(door), id_(services.references.next()) {}

Question Session::question(Stage stage) const {
  Question question{.stage = stage,
                    .counters = door_.counters,
                    .counting_only = connection_.local_submission,
                    .beyond = door_.beyond};
  for (const Verdict* verdict : {at_connect_.get(), at_helo_.get()}) {
    if (verdict != nullptr && verdict->accepted_by != nullptr) {
      question.before = std::min(question.before, verdict->accepted_by->index);
    }
  }
  if (open_ != nullptr) {
    question.before = std::min(question.before, open_->before);
    question.charged = &open_->charged;
  }
  return question;
}

AddressContext Session::address_context() const {
  const Site& site = policy_->site();
  return {.default_domain = site.default_domain, .is_local = [&site](std::string_view domain) {
            return domain == site.default_domain || site.local_domains->contains(domain);
          }};
}

void Session::connect(ConnectEvent event, Instant now, Done done) {
  const Site& site = policy_->site();
  connection_.ip = event.ip;
  if (event.ip) {
    connection_.ip_text = event.ip->text();
    connection_.net = IpNetwork::around(*event.ip, event.ip->is_v4() ? site.ipv4_prefix : site.ipv6_prefix).text();
  }
  connection_.name = std::move(event.name);
  connection_.port = event.port;
  connection_.listener = std::move(event.listener);
  connection_.local_submission = event.local_submission;
  connection_.since = now;
  judge_session(Stage::connect, now, std::move(done));
}

void Session::helo(std::string name, Instant now, Done done) {
  connection_.helo = std::move(name);
  at_helo_.reset();  // a new greeting, after STARTTLS for instance, is judged anew
  judge_session(Stage::helo, now, std::move(done));
}

Facts Session::facts_now(Instant now) const {
  return {.connection = connection_,
          .transaction = open_ == nullptr ? nullptr : &open_->facts,
          .now = now,
          .zone = &policy_->site().zone};
}

void Session::judge_session(Stage stage, Instant now, Done done) {
  services_.gate.judge(*policy_, facts_now(now), question(stage), tally_, {now, id_},
                       [this, stage, now, done = std::move(done)](Judgement judgement) {
                         Answer answer = close_early(judgement.verdict, now);
                         if (!judgement.verdict.empty()) {
                           (stage == Stage::connect ? at_connect_ : at_helo_) =
                               std::make_unique<const Verdict>(std::move(judgement.verdict));
                         }
                         services_.gate.settle({judgement.reservation}, Settlement::keep, now,
                                               [answer = std::move(answer), done] { done(answer); });
                       });
}

// The record of a session that ends so has no sender and no recipients.
Answer Session::close_early(const Verdict& verdict, Instant now) {
  const bool closes = verdict.kind == Verdict::Kind::refuse && closes_connection(verdict.refusal->reply.code());
  if (!closes || !door_.early) return {};
  Answer answer = answer_for(verdict);
  if (!answer.refusal) return answer;
  open_ = std::make_unique<Open>();
  open_->ref = id_;
  merge(open_->message, Verdict(verdict));
  finish(Ending::refused, now);
  return answer;
}

void Session::mail(MailEvent event, Instant now, Done done) {
  abort(now);
  ++connection_.messages;
  connection_.tls = std::move(event.tls);
  open_ = std::make_unique<Open>();
  open_->ref = services_.references.next();
  open_->recipients.reserve(4);
  Transaction& t = open_->facts;
  open_->octets = sizeof(Open) + 4 * (event.sender.size() + event.rewritten.size() + event.user.size());
  t.sender_raw = event.sender;
  t.sender = canonical_address(event.rewritten.empty() ? event.sender : event.rewritten, address_context());
  t.user = to_lower(event.user);
  t.mechanism = std::move(event.mechanism);
  t.declared_size = declared_size(event.parameters);
  t.smtputf8 = has_parameter(event.parameters, "SMTPUTF8");
  t.sender_login_mismatch = mismatch(t, policy_->site());
  t.queue_id = std::move(event.queue_id);
  for (const Verdict* verdict : {at_connect_.get(), at_helo_.get()}) {
    if (verdict == nullptr || open_->message.kind == Verdict::Kind::refuse) continue;
    note_acceptance(*verdict);
    merge(open_->message, Verdict(*verdict));
  }
  if (policy_->needs().digest) open_->digest = std::make_unique<ContentDigest>();
  if (open_->message.kind == Verdict::Kind::refuse) {
    Answer answer = answer_for(open_->message);
    if (answer.refusal) finish(Ending::refused, now);
    return done(std::move(answer));
  }
  judge_message(Stage::mail, now, std::move(done));
}

void Session::judge_message(Stage stage, Instant now, Done done) {
  services_.gate.judge(*policy_, facts_now(now), question(stage), tally_, {now, open_->ref},
                       [this, stage, now, done = std::move(done)](Judgement judgement) {
                         hold(judgement);
                         note_acceptance(judgement.verdict);
                         Answer answer = answer_for(judgement.verdict);
                         merge(open_->message, std::move(judgement.verdict));
                         note_headers(open_->message);
                         if (!answer.refusal && stage == Stage::message) return accept(now, done);
                         if (answer.refusal) finish(Ending::refused, now);
                         done(std::move(answer));
                       });
}

// The MTA takes the message over once what it counts for is safe.
void Session::accept(Instant now, const Done& done) {
  Answer answer{.refusal = std::nullopt, .disposition = open_->disposition};
  std::vector<ReservationId> reservations = std::move(open_->reservations);
  finish(Ending::accepted, now);
  services_.gate.settle(std::move(reservations), Settlement::keep, now,
                        [answer = std::move(answer), done] { done(answer); });
}

void Session::give_back(std::vector<ReservationId> reservations, Instant now) {
  services_.gate.settle(std::move(reservations), Settlement::give_back, now, [] {});
}

void Session::rcpt(RcptEvent event, Instant now, Done done) {
  if (open_ == nullptr) return done({.refusal = default_reply("local-error")});
  JudgedRecipient& judged = open_->recipients.emplace_back();
  judged.ref = open_->recipients.size() == 1 ? open_->ref : services_.references.next();
  Recipient& recipient = judged.recipient;
  open_->octets += sizeof(JudgedRecipient) + 4 * (event.recipient.size() + event.rewritten.size());
  recipient.raw = event.recipient;
  recipient.address = canonical_recipient(event);
  recipient.route = std::move(event.route);
  recipient.mta_refused = event.mta_refused;
  recipient.mta_status = std::move(event.mta_status);
  recipient.mta_text = std::move(event.mta_text);
  recipient.external = is_external(recipient);
  if (!recipient.mta_refused) ++open_->facts.recipients;
  if (!policy_->needs().mailbox || services_.mailboxes == nullptr || recipient.mta_refused) {
    return judge_recipient(now, std::move(done));
  }
  services_.mailboxes->used(recipient.address, open_->facts.declared_size,
                            [this, now, done = std::move(done)](std::optional<std::int64_t> percent) mutable {
                              open_->recipients.back().recipient.mailbox_used = percent;
                              judge_recipient(now, std::move(done));
                            });
}

// What is accepted by a rule on one recipient is accepted for that recipient alone.
void Session::note_acceptance(const Verdict& verdict) {
  const Rule* rule = verdict.accepted_by;
  if (rule == nullptr) return;
  if (!rule->names_recipient_facts()) open_->before = std::min(open_->before, rule->index);
  if (const auto* hold = std::get_if<Hold>(&rule->outcome); hold != nullptr && open_->disposition.hold.empty()) {
    open_->disposition.hold = hold->reason;
  }
  if (std::holds_alternative<Discard>(rule->outcome)) open_->disposition.discard = true;
}

// A rule that holds for many recipients adds its field once.
void Session::note_headers(Verdict& verdict) {
  for (Header& header : verdict.headers) {
    auto& all = open_->disposition.headers;
    const auto same = [&](const Header& h) { return h.name == header.name && h.value == header.value; };
    if (std::ranges::none_of(all, same)) all.push_back(std::move(header));
  }
  verdict.headers.clear();
}

// The MTA's own form tells where a message goes, whatever tricks the spelling plays. A bare user is Sendmail's form of
// a local mailbox after virtusertable; what the client wrote is then the better name, if it is one.
Address Session::canonical_recipient(const RcptEvent& event) const {
  const AddressContext context = address_context();
  const bool bare = event.rewritten.find('@') == std::string::npos;
  if (!bare && !event.mta_refused) return canonical_address(event.rewritten, context);
  Address offline = canonical_address(event.recipient, context);
  const bool useless = offline.form != Address::Form::mailbox && !event.rewritten.empty() && !event.mta_refused;
  return useless ? canonical_address(event.rewritten, context) : offline;
}

std::optional<bool> Session::is_external(const Recipient& recipient) const {
  const Site& site = policy_->site();
  if (site.knows_domains()) {
    const std::string_view domain = recipient.address.domain();
    return !site.local_domains->contains(domain) && !site.relay_domains->contains(domain);
  }
  if (!recipient.route) return std::nullopt;
  if (*recipient.route == "local" || *recipient.route == "virtual" || *recipient.route == "relay") return false;
  return *recipient.route == "smtp" ? std::optional(true) : std::nullopt;
}

void Session::judge_recipient(Instant now, Done done) {
  JudgedRecipient& judged = open_->recipients.back();
  Question asked = question(Stage::rcpt);
  asked.mta_refused = judged.recipient.mta_refused;
  Facts facts = facts_now(now);
  facts.recipient = &judged.recipient;
  services_.gate.judge(*policy_, facts, asked, tally_, {now, judged.ref},
                       [this, now, done = std::move(done)](Judgement judgement) {
                         JudgedRecipient& last = open_->recipients.back();
                         if (last.recipient.mta_refused) {
                           give_back({std::exchange(judgement.reservation, 0)}, now);
                         }
                         hold(judgement);
                         last.verdict = std::move(judgement.verdict);
                         note_acceptance(last.verdict);
                         if (last.verdict.kind != Verdict::Kind::refuse) note_headers(last.verdict);
                         Answer answer;
                         if (!last.recipient.mta_refused) answer = answer_for(last.verdict);
                         if (answer.refusal) --open_->facts.recipients;
                         done(std::move(answer));
                       });
}

void Session::hold(Judgement& judgement) {
  if (judgement.reservation != 0) open_->reservations.push_back(judgement.reservation);
  for (std::string& counter : judgement.message_counters) open_->charged.insert(std::move(counter));
}

Answer Session::answer_for(const Verdict& verdict) {
  if (verdict.kind != Verdict::Kind::refuse || connection_.local_submission) return {};
  ++connection_.refusals;
  return {.refusal = verdict.refusal->reply, .disposition = {}, .rule = verdict.refusal->rule};
}

void Session::data(Instant now, Done done) {
  if (open_ == nullptr) return done({.refusal = default_reply("local-error")});
  judge_message(Stage::data, now, std::move(done));
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
  judge_message(Stage::header, now, std::move(done));
}

void Session::body(std::string_view octets) {
  if (open_ == nullptr) return;
  open_->facts.size += static_cast<std::int64_t>(octets.size());
  if (open_->digest) open_->digest->body(octets);
}

void Session::end_of_message(Instant now, Done done) {
  if (open_ == nullptr) return done({.refusal = default_reply("local-error")});
  if (open_->digest) open_->facts.digest = open_->digest->finish();
  judge_message(Stage::message, now, std::move(done));
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
  const bool accepted = ending == Ending::accepted;
  if (!accepted) give_back(std::move(ended->reservations), now);
  tally_.end_message(accepted);
  services_.sink.write({.policy = *policy_,
                        .time = now,
                        .door = door_.name,
                        .session = id_,
                        .ref = ended->ref,
                        .connection = connection_,
                        .transaction = ended->facts,
                        .recipients = ended->recipients,
                        .message = ended->message,
                        .disposition = accepted ? ended->disposition : Disposition(),
                        .ending = ending});
}

Answer Session::internal_error() const {
  if (policy_->settings().on_error == OnError::accept || connection_.local_submission) return {};
  return {.refusal = default_reply("local-error")};
}

}  // namespace replygate
