#include <algorithm>
#include <utility>

#include "policy/decide/session.h"

namespace replygate {
namespace {

// Nothing is counted because of it.
bool is_silent(const Verdict& verdict) { return verdict.kind != Verdict::Kind::refuse && verdict.observed.empty(); }

}  // namespace

bool Session::spares(Stage stage) const {
  if (open_ == nullptr) return false;
  return stage == Stage::rcpt ? is_postmaster(open_->recipients.back().recipient.address, policy_->site())
                              : stage > Stage::rcpt && open_->others == 0;
}

Question Session::question(Stage stage, bool sparing) const {
  Question question{.stage = stage,
                    .counters = door_.counters,
                    .counting_only = connection_.local_submission,
                    .beyond = door_.beyond,
                    .session = &counted_};
  for (const Said* said : {at_connect_.get(), at_helo_.get()}) {
    if (stage > Stage::mail || said == nullptr) continue;
    const Verdict& verdict = sparing && said->spared != nullptr ? *said->spared : said->verdict;
    if (verdict.accepted_by != nullptr) question.until_rule = std::min(question.until_rule, verdict.accepted_by->index);
  }
  if (open_ == nullptr) return question;
  question.until_rule = std::min(
      {question.until_rule, open_->effect.before, sparing ? open_->of_postmaster.before : open_->of_limits.before});
  question.message = &open_->counted;
  if (connection_.local_submission || stage == Stage::rcpt) return question;
  question.limits = open_->limited == nullptr && (stage == Stage::mail || open_->others > 0);
  return question;
}

Facts Session::facts_now(Instant now) {
  return {.connection = connection_,
          .transaction = open_ == nullptr ? nullptr : &open_->facts,
          .now = now,
          .zone = &policy_->site().zone,
          .answers = policy_->live_sources().empty() ? nullptr : &answers_,
          .kept = open_ == nullptr ? nullptr : open_->kept.get()};
}

// Asked at each stage: the connection may be announced a moment after the MTA has taken it.
bool Session::is_own() const {
  if (services_.own == nullptr || !connection_.ip) return false;
  return services_.own->has({*connection_.ip, connection_.port, connection_.server, connection_.server_port});
}

bool Session::refuses(const Verdict& verdict) const {
  return verdict.kind == Verdict::Kind::refuse && !connection_.local_submission;
}

bool Session::closes(const Verdict& verdict) const {
  return door_.early && refuses(verdict) && closes_connection(verdict.refusal->reply.code());
}

// Until the recipients are known a limit may have to let postmaster pass.
void Session::judge_whole(Stage stage, Instant now, Heard heard) {
  last_ = now;
  if (is_own()) return heard({});
  const Question asked = question(stage);
  services_.gate.judge(*policy_, facts_now(now), asked, tally_, {now, open_ == nullptr ? id_ : open_->ref},
                       [this, stage, now, heard = std::move(heard)](Judgement&& judgement) {
                         const ReservationId held = adopt(judgement);
                         Verdict& verdict = judgement.verdict;
                         const bool waits = stage <= Stage::mail && refuses(verdict) &&
                                            verdict.refusal->rule->has_limits() &&
                                            (stage == Stage::mail || !closes(verdict));
                         if (waits) return judge_besides(stage, now, std::move(verdict), heard);
                         Said said{std::move(verdict), nullptr, nullptr, held};
                         if (ended_by_limit(stage, said.verdict)) {
                           return judge_for_postmaster(stage, now, std::move(said), heard);
                         }
                         heard(std::move(said));
                       });
}

// Whether rules have not been asked because of a limit, now or earlier in the session, that spares postmaster.
bool Session::ended_by_limit(Stage stage, const Verdict& verdict) const {
  if (stage > Stage::mail || refuses(verdict)) return false;
  const auto ends = [](const Said* said) { return said != nullptr && said->spared != nullptr; };
  const bool now = verdict.accepted_by != nullptr && spares_postmaster(*verdict.accepted_by);
  return now || (stage > Stage::connect && ends(at_connect_.get())) || (stage == Stage::mail && ends(at_helo_.get()));
}

// What would be said if no limit were full.
void Session::judge_without_limits(Stage stage, Instant now, const std::function<void(Verdict)>& heard) {
  Question asked = question(stage, true);
  asked.limits = false;
  services_.gate.judge(*policy_, facts_now(now), asked, tally_, {now, open_ == nullptr ? id_ : open_->ref},
                       [this, heard](Judgement&& judgement) {
                         adopt(judgement);
                         heard(std::move(judgement.verdict));
                       });
}

void Session::judge_for_postmaster(Stage stage, Instant now, Said said, const Heard& heard) {
  const auto shared = std::make_shared<Said>(std::move(said));
  judge_without_limits(stage, now, [shared, heard](Verdict verdict) {
    shared->spared = std::make_shared<const Verdict>(std::move(verdict));
    heard(std::move(*shared));
  });
}

// Nobody need wait for a refusal where something else refuses, too.
void Session::judge_besides(Stage stage, Instant now, Verdict limited, const Heard& heard) {
  const auto shared = std::make_shared<Verdict>(std::move(limited));
  judge_without_limits(stage, now, [this, shared, heard](Verdict verdict) {
    if (refuses(verdict)) return heard({std::move(*shared), nullptr, nullptr, 0});
    verdict.evicted += std::exchange(shared->evicted, 0);
    for (Finding& finding : std::exchange(shared->observed, {})) {
      if (finding.rule->has_limits()) verdict.observed.push_back(std::move(finding));
    }
    shared->observed_actions.clear();
    shared->headers.clear();
    heard({std::move(verdict), shared, nullptr, 0});
  });
}

void Session::judge_session(Stage stage, Instant now, Done done) {
  judge_whole(stage, now, [this, stage, now, done = std::move(done)](Said&& said) {
    const bool nothing = said.verdict.empty() && said.limited == nullptr && said.spared == nullptr;
    const ReservationId held = said.held;
    auto& place = stage == Stage::connect ? at_connect_ : at_helo_;
    place = nothing ? nullptr : std::make_unique<const Said>(std::move(said));
    const bool closed = !nothing && closes(place->verdict);
    const auto answer = std::make_shared<Answer>(closed ? close_early(place->verdict, now) : Answer());
    const auto end = [this, held, now, answer, done] {
      services_.gate.keep({&held, 1}, now, [answer, done] { done(std::move(*answer)); });
    };
    closed ? replied(place->verdict, question(stage), facts_now(now), end) : end();
  });
}

// The record of a session that ends so has no sender and no recipients.
Answer Session::close_early(const Verdict& verdict, Instant now) {
  Answer answer = answer_for(verdict);
  open_ = std::make_unique<Open>();
  open_->ref = id_;
  merge(open_->message, Verdict(verdict));
  finish(Ending::refused, now);
  return answer;
}

// What was said of the session is said again of each message.
void Session::begin_message(Instant now, Done done) {
  Verdict remembered;
  const bool own = is_own();
  for (const Said* said : {at_connect_.get(), at_helo_.get()}) {
    if (own || said == nullptr || refuses(remembered)) continue;
    note_waiting(*said);
    merge(remembered, Verdict(said->verdict));
  }
  if (is_silent(remembered)) {
    open_->message = std::move(remembered);
    return judge_message(Stage::mail, now, std::move(done));
  }
  if (refuses(remembered)) {
    return escalate(std::move(remembered), now, [this, now, done = std::move(done)](Verdict verdict) {
      end_stage(Stage::mail, std::move(verdict), now, done);
    });
  }
  open_->message = std::move(remembered);
  replied(open_->message, question(Stage::mail), facts_now(now),
          [this, now, done = std::move(done)] { judge_message(Stage::mail, now, done); });
}

void Session::judge_message(Stage stage, Instant now, Done done) {
  judge_whole(stage, now, [this, stage, now, done = std::move(done)](Said&& said) {
    note_waiting(said);
    end_stage(stage, std::move(said.verdict), now, done);
  });
}

// The first refusal goes for all: one that waits for recipients comes before what MAIL makes of the message.
void Session::end_stage(Stage stage, Verdict&& verdict, Instant now, const Done& done) {
  if (!refuses(verdict) || stage != Stage::mail || open_->limited == nullptr) {
    return answer_stage(stage, std::move(verdict), now, done);
  }
  const auto shared = std::make_shared<Verdict>(std::move(verdict));
  escalate(Verdict(*open_->limited), now, [this, stage, shared, now, done](Verdict limited) {
    merge(*shared, std::move(limited));
    answer_stage(stage, std::move(*shared), now, done);
  });
}

// What waited for its reply says what escalation has come to by now.
void Session::escalate(Verdict verdict, Instant now, const std::function<void(Verdict)>& heard) {
  if (!verdict.refusal || verdict.refusal->rungs.empty()) return heard(std::move(verdict));
  const Rule& rule = *verdict.refusal->rule;
  const auto shared = std::make_shared<Verdict>(std::move(verdict));
  services_.gate.step_reached(*policy_, facts_now(now), rule, [shared, heard](std::optional<std::size_t> reached) {
    if (reached) shared->refusal = Finding(shared->refusal->rungs.at(*reached));
    heard(std::move(*shared));
  });
}

// What was said before the recipients were known.
void Session::refuse_waiting(const Verdict& waiting, Instant now, const Done& done) {
  last_ = now;
  escalate(Verdict(waiting), now, [this, now, done](Verdict verdict) {
    JudgedRecipient& judged = open_->recipients.back();
    judged.verdict = std::move(verdict);
    Facts facts = facts_now(now);
    facts.recipient = &judged.recipient;
    leave_room(*judged.verdict.refusal, facts);
    answer_recipient(now, done);
  });
}

void Session::answer_stage(Stage stage, Verdict&& verdict, Instant now, const Done& done) {
  open_->octets += octets_of(verdict);
  if (is_silent(verdict)) {
    note_stage(std::move(verdict));
    return stage == Stage::message ? accept(now, done) : done({});
  }
  const bool refused = refuses(verdict);
  Answer answer = answer_for(verdict);
  const Verdict said = verdict;
  note_stage(std::move(verdict));
  replied(said, question(stage), facts_now(now), [this, stage, now, refused, answer = std::move(answer), done] {
    if (refused) finish(Ending::refused, now);
    if (!refused && stage == Stage::message) return accept(now, done);
    done(Answer(answer));
  });
}

void Session::note_stage(Verdict&& verdict) {
  merge(open_->message, std::move(verdict));
  note_headers(open_->message);
}

// What limits made of a message before it was known that it is for postmaster alone is not done.
void Session::dispose() {
  Disposition& all = open_->effect.disposition;
  const bool spared = open_->others == 0;
  const Disposition& more = spared ? open_->of_postmaster.disposition : open_->of_limits.disposition;
  Verdict& said = open_->message;
  all.discard |= more.discard;
  if (!more.hold.empty()) all.hold = more.hold;
  if (spared && said.accepted_by != nullptr && spares_postmaster(*said.accepted_by)) {
    said.accepted_by = open_->spared == nullptr ? nullptr : open_->spared->accepted_by;
    said.kind = said.accepted_by == nullptr ? Verdict::Kind::pass : Verdict::Kind::accept;
  }
}

// The MTA takes the message over once what it counts for is safe. Postmaster is not counted.
void Session::accept(Instant now, const Done& done) {
  dispose();
  Answer answer{.refusal = std::nullopt, .disposition = open_->effect.disposition};
  decltype(open_->reservations) reservations;
  if (open_->others > 0) reservations.swap(open_->reservations);
  finish(Ending::accepted, now);
  services_.gate.keep(reservations, now, [answer = std::move(answer), done]() mutable { done(std::move(answer)); });
}

// Until the recipients are known the limit of a rule that refuses nothing may have to let postmaster pass.
bool Session::spares_postmaster(const Rule& rule) const {
  return rule.has_limits() && rule.stage <= Stage::mail && !connection_.local_submission;
}

// What connect, HELO or MAIL has come to.
void Session::note_waiting(const Said& said) {
  note_acceptance(said.verdict);
  if (open_->limited == nullptr) open_->limited = said.limited;
  if (said.spared == nullptr) return;
  if (said.spared->accepted_by != nullptr) open_->of_postmaster.note(*said.spared->accepted_by);
  if (open_->spared == nullptr || !refuses(*open_->spared)) open_->spared = said.spared;
}

void Session::note_acceptance(const Verdict& verdict) {
  const Rule* rule = verdict.accepted_by;
  if (rule != nullptr) (spares_postmaster(*rule) ? open_->of_limits : open_->effect).note(*rule);
}

// What is accepted by a rule on one recipient is accepted for that recipient alone.
void Session::Effect::note(const Rule& rule) {
  if (!rule.names_recipient_facts()) before = std::min(before, rule.index);
  if (const auto* hold = std::get_if<Hold>(&rule.outcome); hold != nullptr && disposition.hold.empty()) {
    disposition.hold = hold->reason;
  }
  if (std::holds_alternative<Discard>(rule.outcome)) disposition.discard = true;
}

// A rule that holds for many recipients adds its field once.
void Session::note_headers(Verdict& verdict) {
  for (Header& header : verdict.headers) {
    auto& all = open_->effect.disposition.headers;
    const auto same = [&](const Header& h) { return h.name == header.name && h.value == header.value; };
    if (std::ranges::none_of(all, same)) all.push_back(std::move(header));
  }
  verdict.headers.clear();
}

void Session::judge_recipient(Instant now, Done done) {
  last_ = now;
  if (is_own()) return answer_recipient(now, done);
  JudgedRecipient& judged = open_->recipients.back();
  Question asked = question(Stage::rcpt);
  asked.mta_refused = judged.recipient.mta_refused;
  Facts facts = facts_now(now);
  facts.recipient = &judged.recipient;
  services_.gate.judge(*policy_, facts, asked, tally_, {now, judged.ref},
                       [this, now, done = std::move(done)](Judgement&& judgement) {
                         adopt(judgement);
                         open_->recipients.back().verdict = std::move(judgement.verdict);
                         answer_recipient(now, done);
                       });
}

void Session::answer_recipient(Instant now, const Done& done) {
  JudgedRecipient& last = open_->recipients.back();
  open_->octets += octets_of(last.verdict);
  const bool mta_refused = last.recipient.mta_refused;
  note_acceptance(last.verdict);
  if (last.verdict.kind != Verdict::Kind::refuse) note_headers(last.verdict);
  Answer answer = mta_refused ? Answer() : answer_for(last.verdict);
  const bool kept = !mta_refused && !answer.refusal;
  if (kept && !is_postmaster(last.recipient.address, policy_->site())) ++open_->others;
  if (!mta_refused && is_silent(last.verdict)) return done(std::move(answer));
  Question asked = question(Stage::rcpt);
  asked.mta_refused = mta_refused;
  Facts facts = facts_now(now);
  facts.recipient = &last.recipient;
  replied(last.verdict, asked, facts, [this, answer = std::move(answer), done] {
    if (answer.refusal) --open_->facts.recipients;
    done(Answer(answer));
  });
}

void Session::replied(const Verdict& verdict, const Question& asked, const Facts& facts,
                      const std::function<void()>& done) {
  services_.gate.replied(*policy_, facts, asked, verdict, tally_, done);
}

// What a message holds is settled with it, what a session holds by whoever asked.
ReservationId Session::adopt(const Judgement& judgement) {
  for (const CountedOnce& item : judgement.counted) {
    Once* once = item.unit == Unit::connections ? &counted_ : open_ == nullptr ? nullptr : &open_->counted;
    if (once != nullptr) once->note(item.name, item.had_room);
  }
  if (judgement.reservation == 0 || open_ == nullptr) return judgement.reservation;
  open_->reservations.push_back(judgement.reservation);
  return 0;
}

Answer Session::answer_for(const Verdict& verdict) {
  if (verdict.kind != Verdict::Kind::refuse || connection_.local_submission) return {};
  ++connection_.refusals;
  return {.refusal = verdict.refusal->reply, .disposition = {}, .rule = verdict.refusal->rule};
}

}  // namespace replygate
