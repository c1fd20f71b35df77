#include "tests/oracle/count_model.h"

#include <algorithm>
#include <limits>

#include "tests/oracle/count_rules.h"
#include "tests/oracle/count_times.h"

// What is counted, and when there is room again.
namespace replygate::oracle::counts {
namespace {

constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

std::string domain_of(const std::string& address) { return address.substr(address.find('@') + 1); }

__extension__ using Wide = __int128;

// Whole tokens come back, counted since the bucket was last full.
std::int64_t came_back(const Cap& cap, std::int64_t since, std::int64_t at) {
  return static_cast<std::int64_t>(Wide(at - since) * cap.most / (cap.seconds * kSecond));
}

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

}  // namespace replygate::oracle::counts
