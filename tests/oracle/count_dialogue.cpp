#include <algorithm>

#include "tests/oracle/count_model.h"
#include "tests/oracle/count_rules.h"

// Sessions and their messages, act by act.
namespace replygate::oracle::counts {

// What a full limit says is for all but postmaster: what is said besides is asked once more.
Model::Remembered Model::judge_sparing(Point point, bool limits) {
  Verdict first = judge(point, nullptr, limits, false);
  const bool limited = !first.refusal.empty() && first.refusal.front().rule->counts();
  const bool closes = limited && point < Point::mail && first.refusal.front().told.code == 421;
  if (!first.refusal.empty() && (!limited || closes)) return {std::move(first), {}, {}};
  const bool ended = (first.accepted != nullptr && first.accepted->counts()) ||
                     std::ranges::any_of(s_->said, [](const Remembered& said) { return said.spared.has_value(); });
  if (!limited && !ended) return {std::move(first), {}, {}};
  Verdict besides = judge(point, nullptr, false, true);
  if (!limited) return {std::move(first), {}, std::move(besides)};
  if (!besides.refusal.empty()) return {std::move(first), {}, {}};
  for (const Rule* rule : first.observed) {
    if (rule->counts()) besides.observed.push_back(rule);
  }
  return {std::move(besides), std::move(first.refusal), {}};
}

Told Model::greet(Point point) {
  Remembered& said = s_->said[point == Point::connect ? 0 : 1];
  said = {};
  said = judge_sparing(point, true);
  if (said.verdict.refusal.empty() || said.verdict.refusal.front().told.code != 421) return {};
  reply(said.verdict, point, nullptr);
  return said.verdict.refusal.front().told;
}

void Model::accept_by(const Rule* accepted, Point point, Rest& rest) const {
  const Rule& rule = *accepted;
  rest.held |= rule.counts();
  const bool one = point == Point::rcpt &&
                   (std::ranges::any_of(rule.when, [](const auto& item) { return names_recipient(item.first); }) ||
                    std::ranges::any_of(rule.per, names_recipient));
  if (one) return;
  rest.before = std::min(rest.before, static_cast<std::size_t>(&rule - policy_.rules.data()));
}

void Model::accept_by(const Verdict& verdict, Point point) {
  if (verdict.accepted == nullptr) return;
  const bool spares = verdict.accepted->counts() && point <= Point::mail;
  accept_by(verdict.accepted, point, spares ? s_->message.of_others : s_->message.rest);
}

// What connect, HELO or MAIL has come to.
void Model::note(const Remembered& said, Point point) {
  Message& message = s_->message;
  accept_by(said.verdict, point);
  if (message.limited.empty()) message.limited = said.limited;
  if (!said.spared) return;
  if (said.spared->accepted != nullptr) accept_by(said.spared->accepted, point, message.of_postmaster);
  if (!message.spared || message.spared->refusal.empty()) message.spared = said.spared;
}

Told Model::refuse_message(Verdict verdict, Point point) {
  if (!s_->message.limited.empty() && point == Point::mail) {
    verdict.refusal = s_->message.limited;
    escalate(verdict);
  }
  reply(verdict, point, nullptr);
  const Told told = verdict.refusal.front().told;
  end_message(false);
  return told;
}

Told Model::mail(const Act& act) {
  if (s_->in_message) end_message(false);
  s_->in_message = true;
  s_->message = {};
  s_->message.sender = act.text;
  s_->message.user = act.user;
  Verdict remembered;
  for (const Remembered& said : s_->said) {
    if (!remembered.refusal.empty()) continue;
    note(said, Point::mail);
    remembered.refusal = said.verdict.refusal;
    remembered.observed.insert(remembered.observed.end(), said.verdict.observed.begin(), said.verdict.observed.end());
  }
  escalate(remembered);
  if (!remembered.refusal.empty()) return refuse_message(std::move(remembered), Point::mail);
  reply(remembered, Point::mail, nullptr);
  Remembered said = judge_sparing(Point::mail, s_->message.limited.empty());
  note(said, Point::mail);
  if (!said.verdict.refusal.empty()) return refuse_message(std::move(said.verdict), Point::mail);
  reply(said.verdict, Point::mail, nullptr);
  return {};
}

Told Model::rcpt(const Act& act) {
  const Recipient to{.address = act.text == "postmaster" ? "postmaster@" + std::string(kLocal) : act.text,
                     .mta_refused = act.mta_refused};
  if (to.mta_refused) {
    count_event(What::unknown, nullptr, Point::rcpt, &to);
    return {};
  }
  ++s_->message.kept;
  Verdict verdict;
  const bool postmaster = is_postmaster(to.address);
  const std::vector<Refusal> waiting = !postmaster          ? s_->message.limited
                                       : s_->message.spared ? s_->message.spared->refusal
                                                            : std::vector<Refusal>();
  if (!waiting.empty()) {
    verdict.refusal = waiting;
    escalate(verdict);
  } else {
    verdict = judge(Point::rcpt, &to, true, postmaster);
    accept_by(verdict, Point::rcpt);
  }
  reply(verdict, Point::rcpt, &to);
  if (!verdict.refusal.empty()) {
    --s_->message.kept;
    return verdict.refusal.front().told;
  }
  if (!postmaster) ++s_->message.others;
  return {};
}

Told Model::finish(const Act& act) {
  for (const Point point : {Point::data, Point::message}) {
    if (point == Point::message) s_->message.octets = act.octets + 2;  // and the empty line behind the header
    const bool others = s_->message.others > 0;
    Verdict verdict = judge(point, nullptr, s_->message.limited.empty() && others, !others);
    accept_by(verdict, point);
    if (!verdict.refusal.empty()) return refuse_message(std::move(verdict), point);
    reply(verdict, point, nullptr);
  }
  const bool others = s_->message.others > 0;
  const bool held = s_->message.rest.held || (others ? s_->message.of_others : s_->message.of_postmaster).held;
  end_message(others);  // postmaster is not counted
  Told told;
  told.held = held;
  return told;
}

void Model::end_message(bool accepted) {
  for (auto& [name, book] : books_) {
    for (const Hold& hold : book.held) {
      if (hold.session == id_ && accepted) book.kept.push_back({now_, hold.cost, hold.member});
    }
    std::erase_if(book.held, [&](const Hold& hold) { return hold.session == id_; });
  }
  if (!accepted) {
    for (const auto& [name, cost] : s_->message.pending) s_->counts[name] -= cost;
  }
  s_->message = {};
  s_->in_message = false;
}

bool Model::may(const Act& act) const {
  const auto it = sessions_.find(act.session);
  const bool open = it != sessions_.end();
  switch (act.kind) {
    case Act::Kind::connect: return !open;
    case Act::Kind::rcpt: return open && it->second.in_message;
    case Act::Kind::finish: return open && it->second.in_message && it->second.message.kept > 0;
    default: return open;
  }
}

Told Model::act(const Act& act, std::int64_t now) {
  now_ = now;
  id_ = act.session;
  s_ = &sessions_[act.session];
  Told told;
  switch (act.kind) {
    case Act::Kind::connect:
      s_->ip = act.text;
      told = greet(Point::connect);
      break;
    case Act::Kind::helo:
      if (s_->in_message) end_message(false);
      s_->helo = act.text;
      told = greet(Point::helo);
      break;
    case Act::Kind::mail: told = mail(act); break;
    case Act::Kind::rcpt: told = rcpt(act); break;
    case Act::Kind::finish: told = finish(act); break;
    default:
      if (s_->in_message) end_message(false);
  }
  const bool ends = act.kind == Act::Kind::quit || act.kind == Act::Kind::lose || told.code == 421;
  if (!ends) return told;
  if (s_->in_message) end_message(false);
  sessions_.erase(act.session);
  return told;
}

}  // namespace replygate::oracle::counts
