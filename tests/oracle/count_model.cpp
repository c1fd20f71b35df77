#include "tests/oracle/count_model.h"

#include <algorithm>
#include <limits>
#include <stdexcept>

#include "tests/oracle/count_times.h"

namespace replygate::oracle::counts {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();
constexpr std::string_view kLocal = "ours.example";

std::string domain_of(const std::string& address) { return address.substr(address.find('@') + 1); }

bool is_postmaster(const std::string& address) { return address == "postmaster@" + std::string(kLocal); }

bool is_event(What what) { return what == What::refusals || what == What::unknown; }

bool in_session(const Cap& cap) { return cap.over == Over::message || cap.over == Over::session; }

Point point_of(Part part) {
  if (part == Part::client_ip || part == Part::client_net) return Point::connect;
  if (part == Part::helo) return Point::helo;
  return part == Part::sender || part == Part::user ? Point::mail : Point::rcpt;
}

bool names_recipient(Part part) { return part == Part::recipient || part == Part::recipient_domain; }

// Where a rule is judged, and of its limits this one.
Point point_of(const Rule& rule, const Cap* cap) {
  Point point = rule.at.value_or(Point::connect);
  for (const auto& [part, value] : rule.when) point = std::max(point, point_of(part));
  for (const Part part : rule.per) point = std::max(point, point_of(part));
  if (rule.grey && !rule.at) return std::max(point, Point::rcpt);
  if (cap == nullptr) return point;
  if (is_event(cap->what) && !rule.at) return std::max(point, Point::rcpt);
  if (cap->what == What::messages) return std::max(point, Point::mail);
  if (cap->what == What::recipients || cap->what == What::distinct) return std::max(point, Point::rcpt);
  return cap->what == What::bytes ? std::max(point, Point::message) : point;
}

__extension__ using Wide = __int128;

// Whole tokens come back, counted since the bucket was last full.
std::int64_t came_back(const Cap& cap, std::int64_t since, std::int64_t at) {
  return static_cast<std::int64_t>(Wide(at - since) * cap.most / (cap.seconds * kSecond));
}

// The limits of a key: its own take the place of those in their unit over their kind of period.
std::vector<Cap> caps_of(const Rule& rule, const std::string& key) {
  const auto it = rule.own.find(key);
  if (it == rule.own.end()) return rule.caps;
  const Own& own = it->second;
  if (own.all) return {};
  const auto calendar = [](Over over) { return over == Over::day || over == Over::week || over == Over::month; };
  const auto kind = [&](const Cap& cap) { return calendar(cap.over) ? Over::day : cap.over; };
  std::vector<Cap> result;
  for (const Cap& cap : rule.caps) {
    const bool exempt = std::ranges::find(own.exempt, cap.what) != own.exempt.end();
    const bool replaced =
        std::ranges::any_of(own.caps, [&](const Cap& c) { return c.what == cap.what && kind(c) == kind(cap); });
    if (!exempt && !replaced) result.push_back(cap);
  }
  result.insert(result.end(), own.caps.begin(), own.caps.end());
  return result;
}

std::int64_t depth(const Cap& cap) { return cap.burst > 0 ? cap.burst : cap.most; }

}  // namespace

// A fact as the rule sees it at that point; nothing where it is not known yet.
std::optional<std::string> Model::part(Part part, Point point, const Recipient* to) const {
  if (point_of(part) > point) return std::nullopt;
  switch (part) {
    case Part::client_ip: return s_->ip;
    case Part::client_net: return net_of(s_->ip);
    case Part::helo: return s_->helo;
    case Part::sender: return s_->in_message ? std::optional(s_->message.sender) : std::nullopt;
    case Part::user: return s_->in_message ? std::optional(s_->message.user) : std::nullopt;
    case Part::recipient: return to == nullptr ? std::nullopt : std::optional(to->address);
    case Part::recipient_domain: return to == nullptr ? std::nullopt : std::optional(domain_of(to->address));
  }
  return std::nullopt;
}

bool Model::holds(const Rule& rule, Point point, const Recipient* to) const {
  return std::ranges::all_of(rule.when, [&](const auto& item) { return part(item.first, point, to) == item.second; });
}

// That which stands for the client; "" for none.
std::string Model::pool(const Rule& rule) const {
  const bool in = rule.grey && rule.grey->pool && net_of(s_->ip) == kNet;
  return in ? "pool" : "";
}

// Parts joined by '|'; nothing where one is empty or not known.
std::optional<std::string> Model::key(const Rule& rule, Point point, const Recipient* to) const {
  std::string key;
  for (const Part p : rule.per) {
    auto value = part(p, point, to);
    if (const bool client = p == Part::client_ip || p == Part::client_net; client && !pool(rule).empty())
      value = pool(rule);
    if (!value || value->empty()) return std::nullopt;
    key += (key.empty() ? "" : "|") + *value;
  }
  return key;
}

std::string Model::counter(const Rule& rule, const Cap& cap, const std::string& key) const {
  std::string name = rule.name + '/' + std::to_string(static_cast<int>(cap.what)) + '/' + cap.period + '/' + key;
  if (cap.burst > 0) name += "/bucket";
  if (cap.over == Over::day || cap.over == Over::week || cap.over == Over::month) {
    name += '/' + std::to_string(calendar_span(cap.over, now_, policy_.berlin).begin);
  }
  return name;
}

std::int64_t Model::used(const Cap& cap, const std::string& counter) const {
  if (in_session(cap)) {
    const auto& counts = cap.over == Over::message ? s_->message.counts : s_->counts;
    const auto it = counts.find(counter);
    return it == counts.end() ? 0 : it->second;
  }
  const auto book = books_.find(counter);
  if (book == books_.end()) return 0;
  if (cap.what == What::distinct) {
    std::set<std::string> members;
    for (const Use& use : book->second.kept) {
      if (leaves(use.at, cap.seconds) > now_) members.insert(use.member);
    }
    for (const Hold& hold : book->second.held) members.insert(hold.member);
    return static_cast<std::int64_t>(members.size());
  }
  std::int64_t held = 0;
  for (const Hold& hold : book->second.held) held += hold.cost;
  std::int64_t sum = 0;
  if (cap.burst > 0) {
    const Tokens tokens = tokens_of(cap, book->second.kept);
    return std::max<std::int64_t>(tokens.taken - came_back(cap, tokens.since, now_), 0) + held;
  }
  for (const Use& use : book->second.kept) {
    if (cap.over != Over::time || leaves(use.at, cap.seconds) > now_) sum += use.cost;
  }
  return sum + held;
}

bool Model::contains(const Cap& cap, const std::string& counter, const std::string& member) const {
  if (in_session(cap)) return used(cap, counter + '/' + member) > 0;
  const auto book = books_.find(counter);
  if (book == books_.end()) return false;
  const auto live = [&](const Use& use) { return use.member == member && leaves(use.at, cap.seconds) > now_; };
  return std::ranges::any_of(book->second.kept, live) ||
         std::ranges::any_of(book->second.held, [&](const Hold& hold) { return hold.member == member; });
}

// When there will be room for what is looked at, or for the same once more where it has been charged by now, if all
// that is reserved is kept now.
std::int64_t Model::room(const Look& look) const {
  const Cap& cap = look.cap;
  if (in_session(cap)) return kNever;
  const bool again = cap.what == What::distinct && contains(cap, look.counter, look.member);
  const std::int64_t wanted = again ? 0 : look.cost;
  std::int64_t in_use = used(cap, look.counter);
  if (in_use + wanted <= depth(cap)) return now_;
  if (cap.over != Over::time) return calendar_span(cap.over, now_, policy_.berlin).end;
  const auto book = books_.find(look.counter);
  if (book == books_.end()) return kNever;
  if (cap.burst > 0) {
    std::vector<Use> uses = book->second.kept;
    for (const Hold& hold : book->second.held) uses.push_back({now_, hold.cost, ""});
    const Tokens tokens = tokens_of(cap, uses);
    const std::int64_t missing = tokens.taken + wanted - cap.burst;
    return tokens.since + (missing * cap.seconds * kSecond + cap.most - 1) / cap.most;
  }
  std::map<std::string, std::int64_t> last;                 // of members
  std::vector<std::pair<std::int64_t, std::int64_t>> gone;  // when, how much
  const auto note = [&](std::int64_t at, std::int64_t cost, const std::string& member) {
    const std::int64_t when = leaves(at, cap.seconds);
    if (when <= now_) return;
    if (cap.what == What::distinct) {
      last[member] = std::max(last[member], when);
    } else {
      gone.emplace_back(when, cost);
    }
  };
  for (const Use& use : book->second.kept) note(use.at, use.cost, use.member);
  for (const Hold& hold : book->second.held) note(now_, hold.cost, hold.member);
  if (again) last.erase(look.member);  // that it leaves itself makes no room for it
  for (const auto& [member, when] : last) gone.emplace_back(when, 1);
  std::ranges::sort(gone);
  for (const auto& [when, left] : gone) {
    in_use -= left;
    if (in_use + wanted <= cap.most) return when;
  }
  return kNever;
}

Model::Tokens Model::tokens_of(const Cap& cap, const std::vector<Use>& uses) {
  Tokens tokens;
  for (const Use& use : uses) {
    if (tokens.taken <= came_back(cap, tokens.since, use.at)) tokens = {0, use.at};
    tokens.taken += use.cost;
  }
  return tokens;
}

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

Model::Verdict Model::judge(Point point, const Recipient* to, bool limits) {
  Verdict verdict;
  std::vector<Look> all;
  std::vector<Look> refused;
  std::string refused_key;
  std::int64_t passes_from = 0;  // of greylisting
  for (std::size_t i = 0; i < policy_.rules.size(); ++i) {
    const Rule& rule = policy_.rules[i];
    if (s_->in_message && i >= s_->message.before) break;
    const bool before = std::ranges::any_of(s_->said, [&](const Remembered& said) {
      return said.verdict.accepted != nullptr && said.verdict.accepted <= &rule;
    });
    if (before) break;
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
    const bool answered = !verdict.refusal.empty();
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
    const bool admitted = verdict.refusal.empty() && room;
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

// A limit's refusal is for all but postmaster: what is said besides is asked once more.
Model::Remembered Model::judge_sparing(Point point, bool limits) {
  Verdict first = judge(point, nullptr, limits);
  const bool limited = !first.refusal.empty() && first.refusal.front().rule->counts();
  const bool closes = limited && point < Point::mail && first.refusal.front().told.code == 421;
  if (!limited || closes) return {std::move(first), {}};
  Verdict besides = judge(point, nullptr, false);
  if (!besides.refusal.empty()) return {std::move(first), {}};
  for (const Rule* rule : first.observed) {
    if (rule->counts()) besides.observed.push_back(rule);
  }
  return {std::move(besides), std::move(first.refusal)};
}

Told Model::greet(Point point) {
  Remembered& said = s_->said[point == Point::connect ? 0 : 1];
  said = {};
  said = judge_sparing(point, true);
  if (said.verdict.refusal.empty() || said.verdict.refusal.front().told.code != 421) return {};
  reply(said.verdict, point, nullptr);
  return said.verdict.refusal.front().told;
}

void Model::accept_by(const Verdict& verdict, Point point) {
  if (verdict.accepted == nullptr) return;
  const Rule& rule = *verdict.accepted;
  const bool one = point == Point::rcpt &&
                   (std::ranges::any_of(rule.when, [](const auto& item) { return names_recipient(item.first); }) ||
                    std::ranges::any_of(rule.per, names_recipient));
  if (one) return;
  s_->message.before = std::min(s_->message.before, static_cast<std::size_t>(&rule - policy_.rules.data()));
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
    accept_by(said.verdict, Point::mail);
    if (s_->message.limited.empty()) s_->message.limited = said.limited;
    remembered.refusal = said.verdict.refusal;
    remembered.observed.insert(remembered.observed.end(), said.verdict.observed.begin(), said.verdict.observed.end());
  }
  escalate(remembered);
  if (!remembered.refusal.empty()) return refuse_message(std::move(remembered), Point::mail);
  reply(remembered, Point::mail, nullptr);
  Remembered said = judge_sparing(Point::mail, s_->message.limited.empty());
  accept_by(said.verdict, Point::mail);
  if (!said.limited.empty()) s_->message.limited = said.limited;
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
  if (!s_->message.limited.empty() && !is_postmaster(to.address)) {
    verdict.refusal = s_->message.limited;
    escalate(verdict);
  } else {
    verdict = judge(Point::rcpt, &to, true);
    accept_by(verdict, Point::rcpt);
  }
  reply(verdict, Point::rcpt, &to);
  if (!verdict.refusal.empty()) {
    --s_->message.kept;
    return verdict.refusal.front().told;
  }
  if (!is_postmaster(to.address)) ++s_->message.others;
  return {};
}

Told Model::finish(const Act& act) {
  for (const Point point : {Point::data, Point::message}) {
    if (point == Point::message) s_->message.octets = act.octets + 2;  // and the empty line behind the header
    Verdict verdict = judge(point, nullptr, s_->message.limited.empty() && s_->message.others > 0);
    accept_by(verdict, point);
    if (!verdict.refusal.empty()) return refuse_message(std::move(verdict), point);
    reply(verdict, point, nullptr);
  }
  end_message(s_->message.others > 0);  // postmaster is not counted
  return {};
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
