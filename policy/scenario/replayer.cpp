#include "policy/scenario/replayer.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace replygate {
namespace {

constexpr std::size_t kWindow = 4000;         // records that may still say what came before
constexpr std::size_t kMostWaiting = 500000;  // outcomes
constexpr std::size_t kMostReplayedSessions = 20000;
constexpr Duration kIdleSession = std::chrono::hours(1);
// Numbers of one daemon are near each other; another one begins anywhere.
constexpr std::uint64_t kAnotherRun = std::uint64_t{1} << 40U;

std::string in_brackets(const std::string& address) {
  return address.starts_with('<') ? address : fmt::format("<{}>", address);
}

std::uint64_t last_number(const PastTransaction& t) {
  std::uint64_t last = t.number;
  for (const PastRecipient& r : t.recipients) last = std::max(last, r.number);
  return last;
}

std::string who_sent(const PastTransaction& t) {
  if (!t.user.empty()) return t.user;
  return t.sender.empty() ? t.client_ip : t.sender;
}

void note_use(const Verdict& verdict, Replayed& replayed) {
  for (const LimitUse& use : verdict.limits) {
    if (use.fits || use.rule != replayed.rule) continue;
    replayed.key = use.key;
    replayed.use = fmt::format("{} of {}", use.used, use.limit.text());
    return;
  }
  for (const SightingUse& use : verdict.sightings) {
    if (use.rule == replayed.rule && !use.passes) replayed.key = use.key;
  }
}

void note_observed(const Verdict& verdict, std::vector<const Rule*>& observed) {
  for (const Finding& finding : verdict.observed) {
    if (std::ranges::find(observed, finding.rule) == observed.end()) observed.push_back(finding.rule);
  }
}

}  // namespace

// The record of the transaction that ended last.
class Replayer::Kept final : public RecordSink {
 public:
  void write(Record record) override { last = std::move(record); }
  std::optional<Record> last;
};

// As full as the recipient's mailbox was.
class Replayer::Mailbox final : public Mailboxes {
 public:
  void used(const Address&, std::int64_t, Mailboxes::Told told) override { told(MailboxUse::maybe(percent)); }
  std::optional<std::int64_t> percent;
};

// As dead as the record says. Of another policy, which may not have asked, or otherwise, outcomes know better.
class Replayer::Dead final : public DeadAddresses {
 public:
  bool is_dead(const Address& recipient) const override {
    const auto told = outcomes == nullptr ? std::nullopt : outcomes->is_dead(recipient.full, now);
    return told.value_or(dead);
  }
  bool dead = false;
  const ReplayedOutcomes* outcomes = nullptr;
  Instant now;
};

struct Replayer::Dialogue {
  Dialogue(const std::shared_ptr<const Policy>& policy, Session::Services services, const Session::Door& door)
      : session(policy, services, door) {}

  Session session;
  std::optional<Answer> closed;  // by a reply that ends the session
  std::string helo;
  Instant used;
};

struct Replayer::Play {
  PastTransaction past;
  std::shared_ptr<Dialogue> dialogue;  // outlives the table of sessions
  bool begun = false;
  bool left = false;              // the session or the message as a whole was answered by what cannot be judged
  std::optional<Answer> refused;  // the message
  std::vector<std::optional<Answer>> answers;      // to recipients; nothing: not asked
  std::vector<std::optional<std::size_t>> places;  // of recipients in our own record
  std::size_t asked = 0;
  std::size_t kept = 0;
};

Replayer::Replayer(std::shared_ptr<const Policy> policy, FactSet beyond, std::vector<std::string> unjudged,
                   Listener& listener)
    : policy_(std::move(policy)),
      beyond_(beyond),
      unjudged_(std::move(unjudged)),
      listener_(listener),
      outcomes_(policy_, store_),
      gate_(store_, nullptr, &lookups_),
      kept_(std::make_unique<Kept>()),
      mailbox_(std::make_unique<Mailbox>()),
      dead_(std::make_unique<Dead>()) {}

Replayer::~Replayer() = default;

bool Replayer::is_left(const PastAnswer& answer) const {
  return answer.unknown || std::ranges::find(unjudged_, answer.rule) != unjudged_.end();
}

void Replayer::play(PastTransaction transaction) {
  auto play = std::make_shared<Play>();
  play->past = std::move(transaction);
  const PastTransaction& t = play->past;
  const bool another =
      !waiting_.empty() &&
      std::max(t.number, waiting_.back()->past.number) - std::min(t.number, waiting_.back()->past.number) > kAnotherRun;
  if (another) finish();
  play->answers.resize(t.recipients.size());
  play->places.resize(t.recipients.size());
  const Instant unknown{};  // in the order of numbers
  begins_.push_back({t.number, t.timed ? t.begun : unknown, play, t.recipients.size()});
  std::push_heap(begins_.begin(), begins_.end());
  for (std::size_t i = 0; i < t.recipients.size(); ++i) {
    begins_.push_back({std::max(t.number, t.recipients[i].number), t.timed ? t.recipients[i].time : unknown, play, i});
    std::push_heap(begins_.begin(), begins_.end());
  }
  waiting_.push_back(std::move(play));
  if (waiting_.size() > kWindow) play_first();
}

void Replayer::play(PastOutcome outcome) {
  outcomes_.add(std::move(outcome));
  while (outcomes_.waiting() > kMostWaiting) waiting_.empty() ? outcomes_.count_first() : play_first();
}

void Replayer::finish() {
  while (!waiting_.empty()) play_first();
  dialogues_.clear();
}

void Replayer::play_first() {
  const std::shared_ptr<Play> first = std::move(waiting_.front());
  waiting_.pop_front();
  const Instant now = first->past.time;
  begin_until(first->past);
  end(*first, now);
  forget_sessions(now);
}

// Whatever began before a transaction ended. Where times are not known references tell it: its last one was earlier.
void Replayer::begin_until(const PastTransaction& t) {
  const std::uint64_t last = last_number(t);
  const auto before = [&](const Begin& b) {
    const bool earlier = b.play->past.timed && b.time < t.time;
    return earlier || (b.time <= t.time && b.number <= last);
  };
  while (!begins_.empty() && before(begins_.front())) {
    std::pop_heap(begins_.begin(), begins_.end());
    const Begin what = std::move(begins_.back());
    begins_.pop_back();
    const Instant now = what.play->past.timed ? what.time : t.time;
    outcomes_.count_until(now, what.number);
    begin(what, now);
  }
  outcomes_.count_until(t.time, last);
}

void Replayer::begin(const Begin& what, Instant now) {
  Play& play = *what.play;
  if (!std::exchange(play.begun, true)) mail(play, now);
  if (what.recipient < play.past.recipients.size()) rcpt(play, what.recipient, now);
}

std::shared_ptr<Replayer::Dialogue> Replayer::dialogue_of(const PastTransaction& t, Instant now) {
  std::shared_ptr<Dialogue>& found = dialogues_[t.session];
  const bool fresh = found == nullptr;
  if (fresh) {
    const Session::Door door{.name = "replay", .beyond = beyond_};
    found = std::make_shared<Dialogue>(
        policy_, Session::Services{gate_, *kept_, references_, mailbox_.get(), nullptr, dead_.get()}, door);
  }
  Dialogue& d = *found;
  d.used = now;
  const auto note = [&](const Answer& answer) {
    if (answer.refusal) d.closed = answer;
  };
  if (fresh) {
    d.session.connect({.ip = IpAddress::parse(t.client_ip),
                       .name = t.client_name,
                       .port = t.client_port,
                       .listener = t.listener,
                       .local_submission = t.local},
                      now, note);
  }
  if (!d.closed && !t.helo.empty() && d.helo != t.helo) d.session.helo(d.helo = t.helo, now, note);
  return found;
}

void Replayer::mail(Play& play, Instant now) {
  const PastTransaction& t = play.past;
  play.left = t.message.code != 0 && is_left(t.message) && t.recipients.empty();
  if (play.left) return;
  play.dialogue = dialogue_of(t, now);
  kept_->last.reset();
  if (play.dialogue->closed) {
    play.refused = play.dialogue->closed;
    return;
  }
  if (t.sender.empty() && t.recipients.empty() && t.ref == t.session) return;  // it had ended before MAIL
  play.dialogue->session.beyond(beyond_ | (t.digest.empty() ? bit(Fact::digest) : 0));
  play.dialogue->session.mail(
      {.sender = in_brackets(t.sender), .user = t.user, .mechanism = t.mechanism, .tls = t.tls, .queue_id = t.queue_id},
      now, [&](Answer answer) {
        if (answer.refusal) play.refused = std::move(answer);
      });
}

void Replayer::rcpt(Play& play, std::size_t index, Instant now) {
  const PastRecipient& r = play.past.recipients[index];
  const bool left = is_left(r.answer);
  if (play.left || play.refused || left || play.dialogue == nullptr || !play.dialogue->session.in_transaction()) return;
  const FactSet unknown = beyond_ | (play.past.digest.empty() ? bit(Fact::digest) : 0);
  play.dialogue->session.beyond(unknown | (r.mailbox_used ? 0 : bit(Fact::mailbox_used)));
  mailbox_->percent = r.mailbox_used;
  dead_->dead = r.dead;
  dead_->outcomes = play.past.policy == policy_->id() ? nullptr : &outcomes_;
  dead_->now = now;
  play.places[index] = play.asked++;
  play.dialogue->session.rcpt({.recipient = in_brackets(r.address),
                               .route = r.route,
                               .mta_refused = r.mta_refused,
                               .mta_status = r.mta_status,
                               .mta_text = r.mta_text},
                              now, [&](Answer answer) { play.answers[index] = std::move(answer); });
  play.dialogue->session.beyond(unknown);
  const auto& answer = play.answers[index];
  if (answer && !answer->refusal && !r.mta_refused) ++play.kept;
}

void Replayer::end(Play& play, Instant now) {
  const PastTransaction& t = play.past;
  // What one reply has closed nobody sends on.
  const auto refuse = [&](Answer answer) {
    if (answer.refusal) play.refused = std::move(answer);
  };
  const bool whole = t.message.code != 0 && is_left(t.message);
  const bool sent = !play.refused && play.kept > 0 && t.ending != Ending::aborted && !whole;
  kept_->last.reset();
  if (play.dialogue != nullptr && play.dialogue->session.in_transaction()) {
    Session& session = play.dialogue->session;
    if (sent) session.data(now, refuse);
    if (sent && !play.refused) session.end_of_headers(now, refuse);
    if (sent && !play.refused) {
      session.content(t.size, t.digest);
      session.end_of_message(now, refuse);
    }
    session.abort(now);
  }
  outcomes_.ended(t, play.places, kept_->last ? &*kept_->last : nullptr);
  tell(play);
}

void Replayer::tell(Play& play) {
  const PastTransaction& t = play.past;
  const Record* record = kept_->last ? &*kept_->last : nullptr;
  const auto tell_one = [&](const PastRecipient* r, const std::optional<Answer>& said, const Verdict* verdict) {
    Replayed replayed{.transaction = &t, .was = t.message};
    if (r != nullptr) {
      replayed.recipient = r->address;
      replayed.ref = r->ref;
      if (r->answer.code != 0 || t.message.code == 0) replayed.was = r->answer;
    }
    if (replayed.ref.empty()) replayed.ref = t.ref;
    replayed.left = play.left || is_left(replayed.was);
    const std::optional<Answer>& answer = said && said->refusal ? said : play.refused;
    replayed.key = who_sent(t);
    if (replayed.left) {
      replayed.now = replayed.was;
    } else if (answer) {
      replayed.rule = answer->rule;
      replayed.now = {answer->refusal->code(), answer->rule == nullptr ? "" : answer->rule->name};
      replayed.text = answer->refusal->text();
    }
    for (const Verdict* v : {verdict, record == nullptr ? nullptr : &record->message}) {
      if (v == nullptr) continue;
      if (replayed.rule != nullptr && replayed.use.empty()) note_use(*v, replayed);
      note_observed(*v, replayed.observed);
    }
    listener_.replayed(replayed);
  };
  if (t.recipients.empty()) return tell_one(nullptr, std::nullopt, nullptr);
  for (std::size_t i = 0; i < t.recipients.size(); ++i) {
    if (t.recipients[i].mta_refused) continue;
    const auto place = play.places[i];
    const bool known = record != nullptr && place && *place < record->recipients.size();
    tell_one(&t.recipients[i], play.answers[i], known ? &record->recipients[*place].verdict : nullptr);
  }
}

void Replayer::forget_sessions(Instant now) {
  if (dialogues_.size() <= kMostReplayedSessions) return;
  Duration idle = kIdleSession;
  while (dialogues_.size() > kMostReplayedSessions / 2) {
    boost::unordered::erase_if(dialogues_, [&](const auto& entry) {
      return !entry.second->session.in_transaction() && entry.second->used + idle <= now;
    });
    if (idle == Duration()) return;
    idle /= 2;
  }
}

}  // namespace replygate
