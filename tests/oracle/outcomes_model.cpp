#include "tests/oracle/outcomes_model.h"

#include <fmt/format.h>

#include <algorithm>

namespace replygate::oracle {

using std::chrono::hours;

std::string Numbers::policy() const {
  return fmt::format(R"(
[site]
local_domains = ["local.test"]
relay = "mta"
[outcomes]
log = "/var/log/mail.log"
dead_after = {}
dead_within = "{}h"
dead_for = "{}h"
[[rule]]
name = "dead"
when = {{ recipient_dead = true }}
reply = 550
[[rule]]
name = "share"
per = "sender"
limit = "{}% hard_bounces / {}h"
at_least = "{} recipients"
reply = 450
[[rule]]
name = "limits"
per = "client_ip"
limit = ["{} blocked / {}h", "{} deferrals / {}h", "{} deliveries / {}h", "{} complaints / {}h"]
outcomes_of = "{}"
reply = 451
)",
                     dead_after, dead_hours, dead_hours, percent, share_hours, floor, blocked, limit_hours, deferrals,
                     limit_hours, deliveries, limit_hours, complaints, limit_hours, all ? "all" : "sent");
}

std::int64_t Model::count_of(const All& all, const std::string& key, Instant now, std::int64_t period_hours) {
  const Duration period = hours(period_hours);
  const auto width = period.count() / 100;
  return std::ranges::count_if(all, [&](const Counted& c) {
    const auto slot = c.at.time_since_epoch().count() / width;
    return c.key == key && now.time_since_epoch().count() < (slot + 1) * width + period.count();
  });
}

bool Model::is_dead(const std::string& address, Instant now) const {
  const auto found = reported_.find(address);
  const auto needed = static_cast<std::size_t>(n_.dead_after);
  if (found == reported_.end() || found->second.size() < needed) return false;
  const std::vector<Instant>& times = found->second;
  const bool dead = times.back() - times[times.size() - needed] <= hours(n_.dead_hours);
  return dead && now < times.back() + hours(n_.dead_hours);
}

int Model::answer(const Mail& mail, const std::string& to, Instant now, std::int64_t before) const {
  if (is_dead(to, now)) return 550;
  if (!mail.sender.empty()) {
    const auto all = count_of(sent_, mail.sender, now, n_.share_hours) + before;
    const auto dead = count_of(hard_, mail.sender, now, n_.share_hours);
    if (all >= n_.floor && dead > 0 && dead * 100 >= n_.percent * all) return 450;
  }
  const auto full = [&](const All& counted, std::int64_t most) {
    return count_of(counted, mail.ip, now, n_.limit_hours) >= most;
  };
  const bool refused = full(blocked_, n_.blocked) || full(deferred_, n_.deferrals) || full(delivered_, n_.deliveries) ||
                       full(complained_, n_.complaints);
  return refused ? 451 : 0;
}

void Model::accepted(const Mail& mail, Instant now) {
  if (!mail.sender.empty()) sent_.insert(sent_.end(), mail.recipients.size(), {mail.sender, now});
}

void Model::counts(All& all, const Mail& mail, Instant now, bool forwarded) {
  const bool unmeant = forwarded || mail.sender.empty();
  if (&all == &hard_) {  // of the share, which is of what was sent
    if (!unmeant) all.push_back({mail.sender, now});
  } else if (!unmeant || n_.all) {
    all.push_back({mail.ip, now});
  }
}

void Model::becomes(const Mail& mail, Recipient& recipient, Fate fate, Instant now, bool forwarded) {
  if (recipient.final || (fate == Fate::deferred && recipient.deferred)) return;
  (fate == Fate::deferred ? recipient.deferred : recipient.final) = true;
  recipient.delivered = fate == Fate::delivered;
  switch (fate) {
    case Fate::delivered: reported_.erase(recipient.address); return counts(delivered_, mail, now, forwarded);
    case Fate::deferred: return counts(deferred_, mail, now, forwarded);
    case Fate::blocked: return counts(blocked_, mail, now, forwarded);
    case Fate::bounced: reported_[recipient.address].push_back(now); return counts(hard_, mail, now, forwarded);
    case Fate::failed: return;
  }
}

// What was delivered stays so, and a report kills nobody.
void Model::bounces_later(const Mail& mail, Recipient& recipient, Instant now) {
  if (recipient.final && !recipient.delivered) return;
  recipient.final = true;
  recipient.delivered = false;
  counts(hard_, mail, now, false);
}

void Model::complains(const Mail& mail, Recipient& recipient, Instant now) {
  if (recipient.complained || (recipient.final && !recipient.delivered)) return;
  recipient.complained = true;
  counts(complained_, mail, now, false);
}

// Once for a message; who alone was addressed is known.
bool Model::complains(Mail& mail, Instant now) {
  const bool reached = std::ranges::any_of(mail.recipients, [](const Recipient& r) { return !r.final || r.delivered; });
  if (!reached || mail.complained) return false;
  if (mail.recipients.size() == 1) {
    const bool before = mail.recipients.front().complained;
    complains(mail, mail.recipients.front(), now);
    return !before;
  }
  mail.complained = true;
  counts(complained_, mail, now, false);
  return true;
}

}  // namespace replygate::oracle
