#include "policy/proof/timeline.h"

#include <algorithm>

namespace replygate {
namespace {

Instant next(Instant from, const Shown& shown, Instant since, const Zone& zone) {
  if (shown.age) from = std::max(from, since + std::chrono::seconds(*shown.age));
  return shown.clock ? instant_at(from, *shown.clock, zone) : from;
}

constexpr std::int64_t kLongestWait = std::int64_t{50} * 365 * 24 * 3600;  // seconds that a session may last here

void set_moving(Shown& shown, Slot slot, std::int64_t number) {
  switch (slot) {
    case Slot::clock: shown.clock = number; return;
    case Slot::age: shown.age = std::min(number, kLongestWait); return;
    case Slot::refusals: shown.refusals = number; return;
    default: shown.recipients = number; return;
  }
}

// A stranger as one thinks of him, where no rule wants another.
Model stranger(const Site& site) {
  Model m;
  m.zone = &site.zone;
  m.set(Slot::client, "", {.text = {}, .ip = IpAddress::parse("203.0.113.7")}, site);
  m.connection.port = 40000;
  m.connection.listener = "smtp";
  m.connection.helo = "client.invalid";
  m.connection.messages = 1;
  m.set(Slot::sender, "", {.text = "someone@stranger.invalid", .ip = {}}, site);
  m.transaction.queue_id = "4abc";
  m.transaction.size = 1000;
  m.transaction.header_count = -1;
  m.set(Slot::route, "", {.text = "smtp", .ip = {}}, site);
  m.recipient.mailbox_used = MailboxUse::of(10);
  return m;
}

}  // namespace

void Timeline::schedule() {
  const Zone& zone = *model.zone;
  Instant now = Instant(std::chrono::hours(490000)) + std::chrono::seconds(30);
  for (const Stage stage : kStages) {
    if (stage == Stage::rcpt && earlier) now = earlier_at = next(now, *earlier, at[0], zone);
    now = next(now, shown[static_cast<std::size_t>(stage)], stage == Stage::connect ? now : at[0], zone);
    at[static_cast<std::size_t>(stage)] = now;
  }
}

std::int64_t Timeline::refusals(Stage stage) const {
  std::int64_t most = 0;
  for (std::size_t i = 0; i <= static_cast<std::size_t>(stage); ++i) {
    most = std::max(most, shown[i].refusals.value_or(0));
  }
  return most;
}

std::int64_t Timeline::recipients(Stage stage) const {
  const auto& at_rcpt = shown[static_cast<std::size_t>(Stage::rcpt)].recipients;
  const std::int64_t first = earlier ? earlier->recipients.value_or(1) + 1 : 1;
  const std::int64_t here = std::max<std::int64_t>(at_rcpt.value_or(first), 1);
  if (stage <= Stage::rcpt) return here;
  return std::max(shown[static_cast<std::size_t>(Stage::data)].recipients.value_or(here), here);
}

Model Timeline::at_stage(Stage stage) const {
  Model m = model;
  m.now = at[static_cast<std::size_t>(stage)];
  m.connection.since = at[0];
  m.connection.refusals = refusals(stage);
  m.transaction.recipients = recipients(stage);
  return m;
}

Timeline timeline_of(const Solution& solution, const Site& site) {
  Timeline result{.model = stranger(site), .shown = {}, .earlier = {}, .others = {}, .at = {}, .earlier_at = {}};
  if (!solution.tags.empty()) result.earlier.emplace();
  for (const Choice& choice : solution.choices) {
    const Variable& v = *choice.variable;
    if (v.slot() == Slot::recipient) {
      for (const Pick& pick : v.picks()) {
        if (!pick.text.empty()) result.others.push_back(pick.text);
      }
    }
    for (const std::size_t pick : choice.picks) {
      if (!moves(v.slot())) {
        result.model.set(v.slot(), v.header(), v.picks()[pick], site);
      } else if (v.point() < kStages.size()) {
        set_moving(result.shown[v.point()], v.slot(), v.picks()[pick].number);
      } else if (result.earlier && v.point() == solution.tags.front()) {
        set_moving(*result.earlier, v.slot(), v.picks()[pick].number);
      }
    }
  }
  if (!site.knows_domains()) result.others.emplace_back("somebody@ours.invalid");  // its mailer will be local
  Transaction& t = result.model.transaction;
  const auto named = static_cast<std::int64_t>(t.headers.size());
  if (t.header_count < 0) t.header_count = std::max(named, std::clamp<std::int64_t>((t.size - 2) / 20, 0, 5));
  result.schedule();
  return result;
}

}  // namespace replygate
