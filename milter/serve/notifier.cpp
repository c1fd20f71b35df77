#include "milter/serve/notifier.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/files.h"
#include "milter/guarded.h"
#include "milter/log/say.h"
#include "milter/serve/note_text.h"
#include "milter/serve/note_user.h"
#include "milter/serve/report_status.h"
#include "milter/thread_name.h"
#include "policy/decide/record_fields.h"
#include "policy/decide/record_summary.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using Event = NotifySettings::Event;

constexpr std::size_t kMostQueued = 100;
constexpr std::size_t kMostTold = 10'000;
constexpr int kAttempts = 3;
constexpr const char* kAdmins = "admins";
constexpr const char* kUsers = "users";

// The rule whose reason the hold queue has; null where the message is not held.
const Rule* holding_rule(const Record& record) {
  if (record.disposition.hold.empty() || record.disposition.discard) return nullptr;
  const auto of = [&](const Verdict& verdict) {
    const Hold* hold = verdict.accepted_by == nullptr ? nullptr : std::get_if<Hold>(&verdict.accepted_by->outcome);
    return hold != nullptr && hold->reason == record.disposition.hold ? verdict.accepted_by : nullptr;
  };
  const Rule* rule = of(record.message);
  for (const JudgedRecipient& judged : record.recipients) rule = rule == nullptr ? of(judged.verdict) : rule;
  return rule;
}

}  // namespace

Notifier::Notifier(const NotifySettings& settings, std::vector<std::unique_ptr<NoteCarrier>> carriers,
                   const StoreHealth& health, Pauses pauses)
    : settings_(settings), pauses_(pauses), carriers_(std::move(carriers)) {
  watch({"the store is in trouble", "the store works again", [&health] { return health.state().trouble; }});
}

bool Notifier::admit(Audience& audience, Event event, const std::string& key, Clock::time_point now) {
  auto& [on, pause, told, last_hour] = audience;
  std::erase_if(last_hour, [&](Clock::time_point t) { return now - t >= std::chrono::hours(1); });
  const std::string name = std::string(to_string(event)) + '\x1f' + key;
  const auto it = told.find(name);
  if (it != told.end() && now - it->second < pause) return false;
  if (told.size() >= kMostTold) std::erase_if(told, [&](const auto& t) { return now - t.second >= pause; });
  const bool full = static_cast<std::int64_t>(last_hour.size()) >= settings_.most_per_hour ||
                    queue_.size() >= kMostQueued || told.size() >= kMostTold;
  if (full) {
    ++figures_.left_out;
    ++untold_;
    return false;
  }
  told[name] = now;
  last_hour.push_back(now);
  return true;
}

void Notifier::queue(Event event, Note note) {
  note.event = std::string(to_string(event));
  queue_.push_back(std::move(note));
  wake_.notify_one();
}

template <typename Make>
void Notifier::tell(Event event, const std::string& key, Make make) {
  if (std::ranges::find(admins_.on, event) == admins_.on.end()) return;
  const std::lock_guard lock(mutex_);
  if (stopping_ || !admit(admins_, event, key, Clock::now())) return;
  Note note = make();
  note.subject = "replygate: " + note.subject;
  if (untold_ > 0) note.text += fmt::format("\n{} left out.\n", counted(std::exchange(untold_, 0), "other note"));
  queue(event, std::move(note));
}

void Notifier::tell_admins(Event event, const std::string& key, const std::function<Note()>& make) {
  tell(event, key, make);
}

// A user hears of what is enforced, and of mail that he has logged in to send.
template <typename Make>
void Notifier::tell_user(Event event, const Record& record, const Rule& rule, Make make) {
  // Whether a warning is about a key of the share for which the rule is in force, nobody says.
  const bool perhaps = event == Event::warning && rule.share != Rule::kWhole;
  if (settings_.users.to.empty() || rule.mode == Mode::observe || perhaps) return;
  if (std::ranges::find(users_.on, event) == users_.on.end()) return;
  auto to = user_addresses(settings_.users.to, record.transaction.user);
  if (to.empty()) return;
  const std::lock_guard lock(mutex_);
  if (stopping_ || !admit(users_, event, rule.name + '\x1f' + record.transaction.user, Clock::now())) return;
  Note note = make();
  note.to = std::move(to);
  queue(event, std::move(note));
}

void Notifier::hear(Rendering& rendering) {
  const Record& r = rendering.record();
  hear(r, r.message, nullptr);
  for (const JudgedRecipient& judged : r.recipients) hear(r, judged.verdict, &judged.recipient);
  hear_held(r);
}

void Notifier::hear(const Record& record, const Verdict& verdict, const Recipient* recipient) {
  for (const LimitUse& use : verdict.limits) {
    if (use.warn) hear_warning(record, use, recipient);
  }
  hear_refusal(record, verdict, recipient);
  if (verdict.evicted == 0) return;
  tell(Event::eviction, "", [] {
    return note_of_store("counters were forgotten before their time",
                         "[store] max_keys is reached: counters in use were given up for new ones. Raise it in the "
                         "policy, and restart the daemon.");
  });
}

void Notifier::hear_warning(const Record& record, const LimitUse& use, const Recipient* recipient) {
  tell(Event::warning, use.rule->name + '\x1f' + use.key, [&] { return note_of_warning(record, use); });
  tell_user(Event::warning, record, *use.rule,
            [&] { return user_note_of_warning(settings_.users.warning, record, use, recipient); });
}

void Notifier::hear_refusal(const Record& record, const Verdict& verdict, const Recipient* recipient) {
  if (!verdict.refusal) return;
  const auto full = std::ranges::find_if(verdict.limits, [](const LimitUse& use) { return !use.fits; });
  if (full == verdict.limits.end() || full->rule != verdict.refusal->rule) return;
  tell(Event::first_refusal, full->rule->name + '\x1f' + full->key,
       [&] { return note_of_first_refusal(record, *full, verdict.refusal->reply); });
  if (record.connection.local_submission) return;
  tell_user(Event::first_refusal, record, *full->rule,
            [&] { return user_note_of_refusal(settings_.users.refusal, record, *full, recipient); });
}

void Notifier::hear_held(const Record& record) {
  const Rule* rule = record.ending == Ending::accepted ? holding_rule(record) : nullptr;
  if (rule == nullptr) return;
  const std::string& who = record.transaction.user.empty() ? record.transaction.sender.full : record.transaction.user;
  tell(Event::held, rule->name + '\x1f' + who, [&] { return note_of_held(record, *rule); });
}

void Notifier::start() {
  thread_ = std::thread([this] {
    name_thread("notify");
    while (!guarded("notify", [this] { run(); })) continue;
  });
}

void Notifier::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait_for(lock, pauses_.look, [this] { return stopping_ || !queue_.empty(); });
    if (stopping_) return;
    if (queue_.empty()) {
      lock.unlock();
      for (Watched& watched : watched_) look_at(watched);
      lock.lock();
      continue;
    }
    const Note note = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    carry(note);
    lock.lock();
    write_told(lock);
  }
}

void Notifier::keep_told(std::string file) {
  told_file_ = std::move(file);
  admins_.told = read_told_notes(told_file_, kAdmins);
  users_.told = read_told_notes(told_file_, kUsers);
}

// Not before all of it has been carried.
void Notifier::write_told(std::unique_lock<std::mutex>& lock) {
  if (told_file_.empty() || stopping_ || !queue_.empty()) return;
  const std::string text =
      text_of_told_notes({{kAdmins, admins_.pause, admins_.told}, {kUsers, users_.pause, users_.told}});
  lock.unlock();
  if (const auto written = replace_file(told_file_, text); !written) say("notify: " + written.error());
  lock.lock();
}

void Notifier::note_trouble(const std::string& why) {
  figures_.trouble = why;
  if (troubled_) troubled_(why.empty() ? "" : "[notify] the last note is lost: " + why);
}

void Notifier::carry(const Note& note) {
  for (const auto& carrier : carriers_) {
    if (!carrier->is_for(note)) continue;
    for (int attempt = 1;; ++attempt) {
      const auto carried = carrier->carry(note);
      std::unique_lock lock(mutex_);
      if (carried) {
        ++figures_.sent;
        note_trouble("");
      }
      if (carried || stopping_) break;
      if (attempt < kAttempts) {
        wake_.wait_for(lock, pauses_.attempts, [this] { return stopping_; });
        continue;
      }
      ++figures_.failed;
      note_trouble(carried.error());
      say(fmt::format("notify: {}; the note \"{}\" is lost", carried.error(), note.subject));
      break;
    }
  }
}

void Notifier::look_at(Watched& watched) {
  const std::string trouble = watched.trouble();
  if (trouble.empty() == watched.told.empty()) return;
  const std::string before = std::exchange(watched.told, trouble);
  const std::string& subject = trouble.empty() ? watched.over : watched.begun;
  tell(Event::store, subject, [&] { return note_of_store(subject, trouble.empty() ? "It was: " + before : trouble); });
}

void Notifier::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (const auto& carrier : carriers_) carrier->stop();
  if (thread_.joinable()) thread_.join();
}

Notifier::Figures Notifier::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

boost::json::object Notifier::report() const {
  const Figures f = figures();
  return {{"sent", f.sent}, {"failed", f.failed}, {"left_out", f.left_out}, {"trouble", json_text(f.trouble)}};
}

}  // namespace replygate
