#include <algorithm>
#include <limits>

#include "tests/oracle/count_model.h"
#include "tests/oracle/count_rules.h"
#include "tests/oracle/count_times.h"

// What the rules say, and what is charged for it.
namespace replygate::oracle::counts {

void Model::add_looks(const Rule& rule, Point point, const std::string& key, const Recipient* to,
                      std::vector<Look>& looks) {
  for (const Cap& cap : caps_of(rule, key)) {
    if (point_of(rule, &cap) != point) continue;
    Look look{.rule = &rule, .cap = cap, .counter = counter(rule, cap, key), .member = {}};
    const bool session = cap.what == What::connections;
    const bool once = session || cap.what == What::messages;
    const std::string name = session ? rule.name : look.counter;
    std::int64_t own = 0;
    if (once) {
      const auto& admitted = session ? s_->admitted : s_->message.admitted;
      const auto& refused = session ? s_->refused : s_->message.refused;
      if (admitted.contains(name)) continue;
      if (refused.contains(name)) look.charged = false;
      own = refused.contains(look.counter) ? 1 : 0;
    }
    if (is_event(cap.what)) look.charged = false;
    if (cap.what == What::bytes) look.cost = s_->message.octets;
    if (cap.what == What::recipients && to == nullptr) look.cost = s_->message.kept;
    if (cap.what == What::distinct) {
      look.member = to->address;
      if (contains(cap, look.counter, look.member)) look.cost = 0;
    }
    look.used = used(cap, look.counter) - own;
    look.fits = look.used + look.cost <= depth(cap);
    looks.push_back(look);
  }
}

// To be asked behind the charges. Of several limits without room the reply tells of one that can never have it, else of
// the one that takes longest; the time is that after which all of them have room again.
Told Model::told_of(const Rule& rule, const std::vector<Look>& all, const Step* step) const {
  Told told{.code = step != nullptr ? step->code : rule.code, .rule = rule.name, .limit = {}};
  std::vector<Look> looks = all;
  std::erase_if(looks, [](const Look& look) { return look.fits; });
  if (looks.empty()) return told;
  const auto never =
      std::ranges::find_if(looks, [](const Look& look) { return look.cost > depth(look.cap) || depth(look.cap) == 0; });
  if (never != looks.end() && told.code < 500 && step == nullptr) {
    told.for_good = true;
    told.code = never->cap.what == What::bytes ? 552 : 554;
    return told;
  }
  const Look* worst = never != looks.end() ? &*never : nullptr;
  for (const Look& look : looks) {
    if (never == looks.end() && (worst == nullptr || room(look) > room(*worst))) worst = &look;
  }
  told.limited = true;
  told.or_more = worst->cap.what == What::distinct && worst->used > worst->cap.most;
  told.used = told.or_more ? worst->cap.most + 1 : worst->used;
  told.limit = worst->cap.text() + (worst->cap.burst > 0 ? ", burst " + std::to_string(worst->cap.burst) : "");
  told.waits = never == looks.end() && !in_session(worst->cap);
  if (!told.waits) return told;
  for (const Look& look : all) {
    if (look.fits && !in_session(look.cap) && room(look) > room(*worst)) worst = &look;
  }
  const bool window = worst->cap.over == Over::time;
  const std::int64_t days = worst->cap.over == Over::day ? 1 : worst->cap.over == Over::week ? 7 : 28;
  const std::int64_t period = (window ? worst->cap.seconds : days * 86400) * kSecond;
  told.wait = room(*worst) - now_;
  if (window && worst->cap.burst == 0 && !rule.attempts) told.wait = std::min(told.wait, period);
  told.late = std::max(period / 100, kSecond);
  return told;
}

// How many steps of its escalation the rule has come to.
std::size_t Model::step_of(const Rule& rule, const std::string& key) const {
  std::size_t reached = 0;
  if (rule.per.empty()) return reached;
  for (std::size_t i = 0; i < rule.escalate.size(); ++i) {
    const Cap& after = rule.escalate[i].after;
    if (used(after, "escalate/" + counter(rule, after, key)) >= after.most) reached = i + 1;
  }
  return reached;
}

Model::Refusal Model::refusal_of(const Rule& rule, const std::string& key, const std::vector<Look>& looks) const {
  Refusal refusal{.rule = &rule, .told = {}, .key = key, .at_step = {told_of(rule, looks, nullptr)}};
  for (const Step& step : rule.escalate) refusal.at_step.push_back(told_of(rule, looks, &step));
  refusal.told = refusal.at_step[step_of(rule, key)];
  return refusal;
}

// A refusal that has waited tells what escalation has come to when it is given.
void Model::escalate(Verdict& verdict) const {
  for (Refusal& refusal : verdict.refusal) {
    if (!refusal.at_step.empty()) refusal.told = refusal.at_step[step_of(*refusal.rule, refusal.key)];
  }
}

// Nothing where greylisting does not ask. The key is seen, whatever comes of it.
std::optional<GreyBook::Look> Model::see(const Rule& rule, Point point, const Recipient* to) {
  const auto k = key(rule, point, to);
  if (!k || point_of(rule, nullptr) != point || !holds(rule, point, to)) return std::nullopt;
  if (to != nullptr && is_postmaster(to->address)) return std::nullopt;
  const std::string name = rule.name + '/' + *k;
  const std::string client = rule.name + '/' + (pool(rule).empty() ? net_of(s_->ip) : pool(rule));
  GreyBook::Look look = grey_.look(*rule.grey, name, now_);
  const bool known = grey_.knows(*rule.grey, client, now_);
  grey_.see(*rule.grey, name, now_);
  if (look.first) grey_.credit(client, now_);
  look.passes = look.passes || known;
  return look;
}

// Whether a rule is not asked any more; `sparing`: for mail to postmaster.
bool Model::is_before(std::size_t index, bool sparing) const {
  const Message& message = s_->message;
  const Rest& some = sparing ? message.of_postmaster : message.of_others;
  if (s_->in_message && index >= std::min(message.rest.before, some.before)) return true;
  return std::ranges::any_of(s_->said, [&](const Remembered& said) {
    const Verdict& verdict = sparing && said.spared ? *said.spared : said.verdict;
    return verdict.accepted != nullptr && verdict.accepted <= &policy_.rules[index];
  });
}

Model::Verdict Model::judge(Point point, const Recipient* to, bool limits, bool sparing) {
  Verdict verdict;
  std::vector<Look> all;
  std::vector<Look> refused;
  std::string refused_key;
  std::int64_t passes_from = 0;  // of greylisting
  for (std::size_t i = 0; i < policy_.rules.size(); ++i) {
    const Rule& rule = policy_.rules[i];
    if (is_before(i, sparing)) break;
    std::vector<Look> looks;
    std::optional<GreyBook::Look> sight;
    const auto k = key(rule, point, to);
    if (rule.grey) {
      if (limits) sight = see(rule, point, to);
      if (!sight || sight->passes) continue;
    } else if (!rule.caps.empty()) {
      if (!limits || !k || !holds(rule, point, to) || (to != nullptr && is_postmaster(to->address))) continue;
      add_looks(rule, point, *k, to, looks);
      if (looks.empty()) continue;
      all.insert(all.end(), looks.begin(), looks.end());
      if (std::ranges::all_of(looks, [](const Look& look) { return look.fits; })) continue;
    } else if (point_of(rule, nullptr) != point || !holds(rule, point, to)) {
      continue;
    }
    const bool answered = !verdict.refusal.empty() || verdict.accepted != nullptr;
    if (rule.observe) {
      if (!answered && !rule.accept) verdict.observed.push_back(&rule);
      continue;
    }
    if (rule.accept && !answered) verdict.accepted = &rule;
    if (!rule.accept && !answered) {
      verdict.refusal = {{.rule = &rule, .told = {}, .key = {}, .at_step = {}}};
      refused = looks;
      refused_key = k.value_or("");
      if (sight) passes_from = sight->from;
    }
    if (!rule.counts()) break;  // it answers for certain
  }
  charge(all, verdict);
  if (verdict.refusal.empty()) return verdict;
  verdict.refusal = {refusal_of(*verdict.refusal.front().rule, refused_key, refused)};
  if (const auto& grey = verdict.refusal.front().rule->grey) {
    Told& told = verdict.refusal.front().told;
    told.greylisted = told.waits = true;
    told.wait = passes_from - now_;
    told.late = grey->delay.seconds * kSecond - told.wait;
  }
  return verdict;
}

void Model::charge(const std::vector<Look>& looks, const Verdict& verdict) {
  for (const Look& look : looks) {
    const bool room = std::ranges::all_of(looks, [&](const Look& l) { return l.rule != look.rule || l.fits; });
    const bool asked = verdict.accepted == nullptr || look.rule <= verdict.accepted;
    const bool admitted = verdict.refusal.empty() && room && asked;
    if (!admitted && !look.rule->attempts) continue;
    if (is_event(look.cap.what)) continue;
    if (look.charged) charge(look);
    const bool session = look.cap.what == What::connections;
    if (!session && look.cap.what != What::messages) continue;
    auto& refused = session ? s_->refused : s_->message.refused;
    const std::string name = session ? look.rule->name : look.counter;
    if (look.fits) {
      (session ? s_->admitted : s_->message.admitted).insert(name);
      refused.erase(name);
    } else if (look.charged) {
      refused.insert(name);
      refused.insert(look.counter);
    }
  }
}

void Model::charge(const Look& look) {
  const bool final = look.rule->attempts || look.cap.what == What::connections;
  if (in_session(look.cap)) {
    auto& counts = look.cap.over == Over::message ? s_->message.counts : s_->counts;
    const auto add = [&](const std::string& name, std::int64_t cost) {
      counts[name] += cost;
      if (look.cap.over == Over::session && !final) s_->message.pending.emplace_back(name, cost);
    };
    add(look.counter, look.cost);
    if (!look.member.empty()) add(look.counter + '/' + look.member, 1);
    return;
  }
  Book& book = books_[look.counter];
  if (final) {
    book.kept.push_back({now_, look.cost, look.member});
  } else {
    book.held.push_back({id_, look.cost, look.member});
  }
}

void Model::count_event(What what, const Rule* cause, Point point, const Recipient* to) {
  for (const Rule& rule : policy_.rules) {
    if (&rule == cause || !holds(rule, point, to)) continue;
    const auto k = key(rule, point, to);
    if (!k) continue;
    for (const Cap& cap : caps_of(rule, *k)) {
      if (cap.what != what) continue;
      const std::string name = counter(rule, cap, *k);
      if (in_session(cap)) {
        ++(cap.over == Over::message ? s_->message.counts : s_->counts)[name];
      } else {
        books_[name].kept.push_back({now_, 1, ""});
      }
    }
  }
}

void Model::count_escalation(const Rule& rule, Point point, const Recipient* to) {
  const auto k = key(rule, point, to);
  if (rule.escalate.empty() || !k) return;
  std::set<std::string> counters;
  for (const Step& step : rule.escalate) counters.insert("escalate/" + counter(rule, step.after, *k));
  for (const std::string& name : counters) books_[name].kept.push_back({now_, 1, ""});
}

// What counts because a reply is given, or would have been.
void Model::reply(const Verdict& verdict, Point point, const Recipient* to) {
  for (const Rule* rule : verdict.observed) count_escalation(*rule, point, to);
  if (verdict.refusal.empty()) return;
  const Rule* cause = verdict.refusal.front().rule;
  count_escalation(*cause, point, to);
  count_event(What::refusals, cause, point, to);
}

}  // namespace replygate::oracle::counts
