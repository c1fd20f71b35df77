#include "policy/proof/rehearsal.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <set>

#include "policy/count/store_memory.h"
#include "policy/decide/session.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostRepeats = 10000;
constexpr std::size_t kMostFillers = 20;
constexpr std::int64_t kMostSessions = 60;
constexpr std::int64_t kMostFilling = 1000;

constexpr std::int64_t kMostCommands = 200000;
constexpr std::int64_t kMostOctets = std::int64_t{256} << 20;

// Live sources that have no entries.
class NothingListed final : public Lookups {
 public:
  std::optional<LiveAnswer> known(const LiveSource&, std::string_view) override { return LiveAnswer::none(); }
  void ask(const LiveSource&, std::string_view, Told told) override { told(LiveAnswer::none()); }
  void misread(const LiveSource&, std::string_view) override {}
};

}  // namespace

// One session of the stranger.
class Rehearsal::Dialogue {
  class ToldMailboxes final : public Mailboxes {
   public:
    explicit ToldMailboxes(const Recipient& target) : target_(target) {}
    void used(const Address& recipient, std::int64_t /*size*/, Told told) override {
      told(recipient == target_.address ? target_.mailbox_used : MailboxUse::of(0));
    }

   private:
    const Recipient& target_;
  };

  class ToldDead final : public DeadAddresses {
   public:
    explicit ToldDead(const Recipient& target) : target_(target) {}
    bool is_dead(const Address& recipient) const override { return target_.dead && recipient == target_.address; }

   private:
    const Recipient& target_;
  };

 public:
  Dialogue(const Policy& policy, Gate& gate, References& references, const Timeline& timeline, std::string filler)
      : timeline_(timeline),
        model_(timeline.model),
        filler_(std::move(filler)),
        mailboxes_(model_.recipient),
        dead_(model_.recipient),
        session_(std::shared_ptr<const Policy>(std::shared_ptr<const Policy>(), &policy),
                 {gate, sink_, references, &mailboxes_, nullptr, &dead_}, {}) {}

  // Commands that it takes, about.
  std::int64_t cost() const {
    return 10 + std::min(model_.connection.messages, kMostRepeats) +
           std::min(timeline_.recipients(Stage::message), kMostRepeats) +
           2 * std::min(timeline_.refusals(Stage::message), kMostRepeats) +
           std::min(model_.transaction.header_count, kMostRepeats) +
           std::min(model_.transaction.size, kMostOctets) / 65536;
  }
  bool relays() { return within_reason() && greet() && begin() && recipients() && message() && !closed_; }
  // That it was given: of messages before it greets again, of messages before its own, of its recipient.
  const std::array<std::int64_t, 3>& refusals() const { return given_; }
  std::int64_t before() const { return before_; }
  std::int64_t behind() const { return behind_; }

 private:
  bool within_reason() const {
    return model_.connection.messages <= kMostRepeats && timeline_.recipients(Stage::message) <= kMostRepeats &&
           timeline_.refusals(Stage::message) <= kMostRepeats && model_.transaction.size <= kMostOctets &&
           model_.transaction.header_count <= kMostRepeats;
  }

  Instant at(Stage stage) const { return timeline_.at[static_cast<std::size_t>(stage)]; }

  Session::Done heard() {
    return [this](const Answer& answer) {
      refused_ = answer.refusal.has_value();
      refusals_ += refused_ ? 1 : 0;
      discards_ |= answer.disposition.discard;
      closed_ |= refused_ && closes_connection(answer.refusal->code());
    };
  }

  bool greet() {
    const Connection& c = model_.connection;
    session_.connect({.ip = c.ip, .name = c.name, .port = c.port, .listener = c.listener}, at(Stage::connect), heard());
    if (refused_) return false;
    const bool again = timeline_.refusals(Stage::helo) > 0;
    return again ? hello(Stage::connect) && earn(Stage::helo) && hello(Stage::helo) : hello(Stage::helo);
  }

  bool hello(Stage when) {
    if (!model_.connection.helo.empty()) session_.helo(model_.connection.helo, at(when), heard());
    return !refused_;
  }

  void mail(Stage when) {
    std::vector<std::string> parameters;
    const Transaction& t = model_.transaction;
    if (t.declared_size > 0) parameters.push_back(fmt::format("SIZE={}", t.declared_size));
    if (t.smtputf8) parameters.emplace_back("SMTPUTF8");
    ++messages_;
    session_.mail({.sender = t.sender_raw, .parameters = parameters, .tls = model_.connection.tls}, at(when), heard());
  }

  bool rcpt(const std::string& address, Instant when) {
    const bool target = address == model_.recipient.raw;
    session_.rcpt(
        {.recipient = address, .route = target ? model_.recipient.route : std::optional<std::string>("local")}, when,
        heard());
    kept_ += refused_ ? 0 : 1;
    return !refused_;
  }

  // Messages that are refused, until as many refusals were given as the stage must show.
  bool earn(Stage stage) {
    std::int64_t& given = given_[stage == Stage::helo ? 0 : 1];
    while (refusals_ < timeline_.refusals(stage)) {
      const std::int64_t before = refusals_;
      mail(stage);
      if (!refused_) rcpt(model_.recipient.raw, at(stage));
      if (refusals_ == before) return false;
      given += refusals_ - before;
    }
    refused_ = false;
    return true;
  }

  bool begin() {
    if (!earn(Stage::mail)) return false;
    while (messages_ + 1 < model_.connection.messages) mail(Stage::mail);
    kept_ = 0;
    mail(Stage::mail);
    return !refused_;
  }

  bool fill(std::int64_t wanted, Instant when, std::int64_t& count) {
    while (kept_ < wanted) {
      if (!rcpt('<' + filler_ + '>', when)) return false;
      ++count;
    }
    return true;
  }

  bool recipients() {
    const std::int64_t first = timeline_.earlier ? timeline_.earlier->recipients.value_or(1) : 0;
    const Instant early = timeline_.earlier ? timeline_.earlier_at : at(Stage::rcpt);
    if (!fill(std::max(first, timeline_.recipients(Stage::rcpt) - 1), early, before_)) return false;
    while (refusals_ < timeline_.refusals(Stage::rcpt)) {
      if (rcpt(model_.recipient.raw, at(Stage::rcpt))) return true;
      ++given_[2];
    }
    if (!rcpt(model_.recipient.raw, at(Stage::rcpt))) return false;
    return fill(timeline_.recipients(Stage::data), at(Stage::rcpt), behind_);
  }

  bool message() {
    const Transaction& t = model_.transaction;
    session_.data(at(Stage::data), heard());
    if (refused_) return false;
    std::int64_t left = t.size - 2;
    for (std::int64_t i = 0; i < t.header_count; ++i, left -= 20) {
      const auto index = static_cast<std::size_t>(i);
      const bool ours = index < t.headers.size();
      session_.header(ours ? t.headers[index].name : "x-filler", ours ? t.headers[index].value : "", 20);
    }
    session_.end_of_headers(at(Stage::header), heard());
    if (refused_ || left < 0) return false;
    body(left);
    session_.queue_id(t.queue_id);
    session_.end_of_message(at(Stage::message), heard());
    return !refused_ && !discards_;
  }

  void body(std::int64_t octets) {
    const std::string piece(std::size_t{1} << 16, 'x');
    for (auto left = static_cast<std::size_t>(octets); left > 0;) {
      const std::size_t size = std::min(left, piece.size());
      session_.body(std::string_view(piece).substr(0, size));
      left -= size;
    }
  }

  const Timeline& timeline_;
  const Model& model_;
  std::string filler_;
  ToldMailboxes mailboxes_;
  ToldDead dead_;
  NoRecords sink_;
  Session session_;
  bool refused_ = false;
  bool discards_ = false;
  bool closed_ = false;  // by a 421
  std::int64_t refusals_ = 0;
  std::array<std::int64_t, 3> given_{};
  std::int64_t messages_ = 0;
  std::int64_t kept_ = 0;
  std::int64_t before_ = 0;
  std::int64_t behind_ = 0;
};

namespace {

// Rules that accept what is over a limit.
bool fills(const Rule& rule) {
  return rule.mode == Mode::enforce && rule.has_limits() && std::holds_alternative<Hold>(rule.outcome);
}

// How many messages to one recipient fill a limit.
std::set<std::int64_t> messages_that_fill(const Policy& policy) {
  std::set<std::int64_t> result;
  for (const Rule& rule : policy.rules()) {
    if (!fills(rule)) continue;
    for (const Limit& limit : rule.limits) {
      const bool each = limit.unit == Unit::messages || limit.unit == Unit::recipients;
      if (each && limit.in_store() && limit.depth() <= kMostFilling) result.insert(limit.depth());
    }
  }
  return result;
}

bool shares(const Rule& rule) { return rule.mode == Mode::enforce && rule.share != Rule::kWhole; }

}  // namespace

// Who stands before or behind the recipient, where somebody must.
std::vector<std::string> Rehearsal::fillers_of(const Timeline& timeline) {
  const bool alone = timeline.recipients(Stage::message) <= 1 && !timeline.earlier;
  const std::string& path = timeline.model.recipient.raw;
  std::vector<std::string> fillers = {path.substr(1, path.size() - 2)};
  if (!alone) fillers.insert(fillers.end(), timeline.others.begin(), timeline.others.end());
  if (fillers.size() > kMostFillers) fillers.resize(kMostFillers);
  return fillers;
}

// One session more with these counters.
bool Rehearsal::relays_with(Dialogue& dialogue, const std::string& filler) {
  commands_ += dialogue.cost();
  if (commands_ > kMostCommands || !dialogue.relays()) return false;
  filler_ = filler;
  before_ = dialogue.before();
  behind_ = dialogue.behind();
  refusals_ = dialogue.refusals();
  return true;
}

bool Rehearsal::plays(const Timeline& timeline) {
  const std::int64_t sessions = std::ranges::any_of(policy_.rules(), fills) ? kMostSessions : 1;
  for (const std::string& filler : fillers_of(timeline)) {
    MemoryStore store;
    NothingListed nothing;
    Gate gate(store, nullptr, &nothing);
    References references(1);
    std::vector<std::unique_ptr<Dialogue>> open;  // and keep what they have reserved
    for (sessions_ = 1; sessions_ <= sessions && commands_ <= kMostCommands; ++sessions_) {
      open.push_back(std::make_unique<Dialogue>(policy_, gate, references, timeline, filler));
      if (relays_with(*open.back(), filler)) return true;
    }
  }
  return false;
}

// Once more, when greylisting lets it pass.
bool Rehearsal::plays_again(const Timeline& timeline) {
  Duration delay{};
  for (const Rule& rule : policy_.rules()) {
    if (rule.greylist) delay = std::max(delay, rule.greylist->delay);
  }
  if (delay == Duration{}) return false;
  Timeline again = timeline;
  for (Instant& at : again.at) at += delay;
  again.earlier_at += delay;
  for (const std::string& filler : fillers_of(timeline)) {
    MemoryStore store;
    NothingListed nothing;
    Gate gate(store, nullptr, &nothing);
    References references(1);
    Dialogue(policy_, gate, references, timeline, filler).relays();
    Dialogue dialogue(policy_, gate, references, again, filler);
    if (!relays_with(dialogue, filler)) continue;
    sessions_ = 1;
    again_after_ = delay;
    return true;
  }
  return false;
}

// Behind as many messages to somebody else as fill a limit of rules that hold.
bool Rehearsal::plays_filled(const Timeline& timeline) {
  for (const std::int64_t messages : messages_that_fill(policy_)) {
    for (const std::string& other : timeline.others) {
      if (commands_ > kMostCommands) return false;
      if (!plays_behind(messages, other, timeline)) continue;
      sessions_ = 1;
      filled_ = messages;
      filled_to_ = other;
      return true;
    }
  }
  return false;
}

bool Rehearsal::plays_behind(std::int64_t messages, const std::string& other, const Timeline& timeline) {
  Timeline filling = timeline;
  filling.shown = {};
  filling.earlier.reset();
  filling.model.connection.messages = 1;
  filling.model.set(Slot::recipient, "", {.text = other, .ip = {}}, policy_.site());
  filling.model.set(Slot::route, "", {.text = "local", .ip = {}}, policy_.site());
  MemoryStore store;
  NothingListed nothing;
  Gate gate(store, nullptr, &nothing);
  References references(1);
  for (std::int64_t i = 0; i < messages; ++i) {
    Dialogue dialogue(policy_, gate, references, filling, other);
    if (!relays_with(dialogue, other)) return false;
  }
  Dialogue last(policy_, gate, references, timeline, other);
  return relays_with(last, other);
}

bool Rehearsal::relays(Timeline& timeline) {
  if (plays(timeline) || plays_again(timeline) || plays_filled(timeline)) return true;
  return plays_as_another(timeline) || plays_in_share(timeline);
}

// Those that the rules know, whatever the guards that the search has met ask for.
const std::vector<std::string>& Rehearsal::senders() {
  if (senders_) return *senders_;
  senders_.emplace();
  Variable known(Slot::sender, 0, "");
  for (const Rule& rule : policy_.rules()) {
    for (const auto* conditions : {&rule.when, &rule.unless}) {
      for (const Condition& c : *conditions) {
        if (slot_of(c.fact.fact) == Slot::sender) known.add(c);
      }
    }
  }
  known.build(policy_.site());
  for (const Pick& pick : known.picks()) {
    if (!pick.text.empty() && senders_->size() < kMostFillers) senders_->push_back(pick.text);
  }
  return *senders_;
}

// Whoever stands before the recipient may want another sender.
bool Rehearsal::plays_as_another(Timeline& timeline) {
  if (fillers_of(timeline).size() == 1) return false;
  const Timeline first = timeline;
  for (const std::string& sender : senders()) {
    timeline.model.set(Slot::sender, "", {.text = sender, .ip = {}}, policy_.site());
    if (plays(timeline)) return true;
  }
  timeline = first;
  return false;
}

bool Rehearsal::plays_in_share(Timeline& timeline) {
  if (std::ranges::none_of(policy_.rules(), shares)) return false;
  const Site& site = policy_.site();
  const Timeline first = timeline;
  for (int i = 0; i < 200; ++i) {
    const auto ip = next_address(*timeline.model.connection.ip);
    if (!ip || site.trusted_networks->contains(*ip)) break;
    timeline.model.set(Slot::client, "", {.text = {}, .ip = ip}, site);
    if (plays(timeline)) return true;
  }
  timeline = first;
  for (int i = 0; i < 200; ++i) {
    const std::string sender = fmt::format("someone{}@{}", i, first.model.transaction.sender.domain());
    timeline.model.set(Slot::sender, "", {.text = sender, .ip = {}}, site);
    if (plays(timeline)) return true;
  }
  timeline = first;
  return false;
}

}  // namespace replygate
