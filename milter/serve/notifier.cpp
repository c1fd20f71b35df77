#include "milter/serve/notifier.h"

#include <fmt/format.h>

#include <algorithm>

#include "milter/guarded.h"
#include "milter/log/say.h"
#include "milter/serve/report_status.h"
#include "policy/decide/record_fields.h"
#include "policy/decide/record_summary.h"

namespace replygate {
namespace {

using Event = NotifySettings::Event;

constexpr std::size_t kMostQueued = 100;
constexpr std::size_t kMostTold = 10'000;
constexpr int kAttempts = 3;

// One line of printable ASCII.
std::string plain(std::string_view text) {
  constexpr std::size_t kMost = 300;
  std::string result(text.substr(0, kMost));
  std::ranges::replace_if(result, [](char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

}  // namespace

Notifier::Notifier(const NotifySettings& settings, std::vector<std::unique_ptr<NoteCarrier>> carriers,
                   const StoreHealth& health, Pauses pauses)
    : settings_(settings), pauses_(pauses), carriers_(std::move(carriers)), health_(health) {}

bool Notifier::wants(Event event) const { return std::ranges::find(settings_.on, event) != settings_.on.end(); }

void Notifier::hear(Rendering& rendering) {
  const Record& r = rendering.record();
  hear(r, r.message);
  for (const JudgedRecipient& judged : r.recipients) hear(r, judged.verdict);
}

void Notifier::hear(const Record& record, const Verdict& verdict) {
  for (const LimitUse& use : verdict.limits) {
    if (!use.warn) continue;
    tell(Event::warning, use.rule->name + '\x1f' + use.key,
         fmt::format("{} nears a limit of {}", plain(use.key), plain(use.rule->name)),
         fmt::format("The key {} has used {} of {}.\n", plain(use.key), use.used + use.cost, use.limit.text()));
  }
  const auto full = std::ranges::find_if(verdict.limits, [](const LimitUse& use) { return !use.fits; });
  if (verdict.refusal && full != verdict.limits.end() && full->rule == verdict.refusal->rule) {
    const Reply& reply = verdict.refusal->reply;
    const bool local = record.connection.local_submission;
    tell(Event::first_refusal, full->rule->name + '\x1f' + full->key,
         fmt::format("{} {} refused by {}", plain(full->key), local ? "would be" : "is", plain(full->rule->name)),
         fmt::format("The key {} has used {} of {}.\n{}: {} {} {}\nreplygate why {} has the whole story.\n",
                     plain(full->key), full->used, full->limit.text(),
                     local ? "Mail of local submission is never refused; it would be told" : "It is told", reply.code(),
                     reply.enhanced().text(), plain(reply.text()), plain(record.ref)));
  }
  if (verdict.evicted > 0) {
    tell(Event::eviction, "", "counters were forgotten before their time",
         "[store] max_keys is reached: counters in use were given up for new ones.\n");
  }
}

bool Notifier::admit(Event event, const std::string& key, Clock::time_point now) {
  std::erase_if(last_hour_, [&](Clock::time_point t) { return now - t >= std::chrono::hours(1); });
  const std::string name = std::string(to_string(event)) + '\x1f' + key;
  const auto it = told_.find(name);
  if (it != told_.end() && now - it->second < settings_.pause) return false;
  if (told_.size() >= kMostTold) std::erase_if(told_, [&](const auto& t) { return now - t.second >= settings_.pause; });
  const bool full = static_cast<std::int64_t>(last_hour_.size()) >= settings_.most_per_hour ||
                    queue_.size() >= kMostQueued || told_.size() >= kMostTold;
  if (full) {
    ++figures_.left_out;
    ++untold_;
    return false;
  }
  told_[name] = now;
  last_hour_.push_back(now);
  return true;
}

void Notifier::tell(Event event, const std::string& key, const std::string& subject, std::string text) {
  if (!wants(event)) return;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_ || !admit(event, key, Clock::now())) return;
    if (untold_ > 0) text += fmt::format("{} other notes were left out.\n", std::exchange(untold_, 0));
    queue_.push_back({std::string(to_string(event)), "replygate: " + subject, std::move(text)});
  }
  wake_.notify_one();
}

void Notifier::start() {
  thread_ = std::thread([this] {
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
      look_at_store();
      lock.lock();
      continue;
    }
    const Note note = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    carry(note);
    lock.lock();
  }
}

void Notifier::note_trouble(const std::string& why) {
  figures_.trouble = why;
  if (troubled_) troubled_(why.empty() ? "" : "[notify] the last note is lost: " + why);
}

void Notifier::carry(const Note& note) {
  for (const auto& carrier : carriers_) {
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

void Notifier::look_at_store() {
  const std::string trouble = health_.state().trouble;
  if (trouble.empty() == store_trouble_.empty()) return;
  const std::string before = std::exchange(store_trouble_, trouble);
  if (trouble.empty()) {
    tell(Event::store, "mended", "the store is in order again", fmt::format("It was: {}\n", plain(before)));
  } else {
    tell(Event::store, "trouble", "the store is in trouble", plain(trouble) + "\n");
  }
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
