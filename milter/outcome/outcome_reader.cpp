#include "milter/outcome/outcome_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "milter/bounce/status_files.h"
#include "milter/guarded.h"
#include "milter/log/say.h"
#include "milter/outcome/sent_mail.h"
#include "milter/thread_name.h"
#include "policy/decide/outcomes.h"

namespace replygate {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr milliseconds kOutcomePause{100};
constexpr milliseconds kAfterTrouble{1000};
constexpr milliseconds kForRecords{2000};
constexpr std::size_t kMostUncounted = 500'000;  // outcomes, while the store is away
constexpr std::size_t kMostHeard = 200'000;      // recipients that wait to be kept
// What is read once more after a restart, so that it is known again which message went on under which id.
constexpr Duration kReadAgain = minutes(10);
constexpr std::int64_t kMostReadAgain = 200'000;  // lines

}  // namespace

OutcomeReader::OutcomeReader(const OutcomeSettings& settings, const Services& services)
    : settings_(settings), services_(services) {
  figures_.log = settings.log;
}

tl::expected<std::unique_ptr<OutcomeReader>, std::string> OutcomeReader::open(const OutcomeSettings& settings,
                                                                              const std::string& path,
                                                                              const Services& services) {
  std::unique_ptr<OutcomeReader> reader(new OutcomeReader(settings, services));
  if (auto prepared = reader->prepare(path); !prepared) return tl::unexpected(prepared.error());
  return reader;
}

tl::expected<void, std::string> OutcomeReader::prepare(const std::string& path) {
  auto book = open_status_book(kStatusFolder);
  if (!book) return tl::unexpected(book.error());
  book_ = *std::move(book);
  std::string aside;
  auto db = OutcomeDatabase::open(path, aside);
  if (!db) return tl::unexpected(db.error());
  if (!aside.empty()) say(fmt::format("{} could not be read, and is kept as {}", path, aside));
  db_ = *std::move(db);
  file_ = std::make_unique<OutcomeFile>(*db_);
  outbox_ = std::make_unique<OutcomeOutbox>(*db_);
  charger_ = std::make_unique<OutcomeCharger>(services_.store, services_.policy, services_.health, services_.clock);
  dead_ = std::make_unique<DeadList>(*db_, settings_, services_.clock);
  // What a predecessor may have counted, or not: what is counted already counts no more.
  for (OutcomeOutbox::Entry& entry : outbox_->all()) charger_->add(std::move(entry));
  // The first time the log's end counts: what is let through from now on is behind it. A position is looked for later,
  // maybe in files that must be decompressed: no mail waits for that.
  const OutcomeFile::Progress progress = file_->progress();
  const bool goes_on = progress.log == settings_.log && !progress.position.empty();
  if (!goes_on) begin(services_.clock.now() + services_.clock.wall_ahead());
  note_figures();
  return {};
}

void OutcomeReader::start() {
  thread_ = std::thread([this] { run(); });
}

void OutcomeReader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void OutcomeReader::hear(Rendering& rendering) {
  auto sent = sent_mail(rendering.record());
  if (!sent) return;
  const std::lock_guard lock(mutex_);
  if (heard_recipients_ + sent->recipients.size() > kMostHeard) {
    ++figures_.dropped;
    return;
  }
  heard_recipients_ += sent->recipients.size();
  sent->sending.time += services_.clock.wall_ahead();
  heard_.push_back(*std::move(sent));
}

OutcomeReader::Figures OutcomeReader::figures() const {
  const std::lock_guard lock(mutex_);
  return figures_;
}

void OutcomeReader::run() {
  name_thread(kOfOutcomes);
  for (bool stopping = false; !stopping;) {
    bool more = false;
    const bool went_well = guarded(kOfOutcomes, [&] { more = round(); });
    if (!went_well) guarded(kOfOutcomes, [&] { begin_anew("", services_.clock.now()); });
    const bool listens = went_well && ledger_ != nullptr;
    std::unique_lock lock(mutex_);
    if (!more) {
      wake_.wait_for(lock, went_well ? kOutcomePause : kAfterTrouble,
                     [&] { return stopping_ || (listens && !asked_.empty()); });
    }
    stopping = stopping_;
  }
  // What was let through until now will be asked for by the next one.
  guarded(kOfOutcomes, [&] { round(); });
}

// True: there may be more to read at once.
bool OutcomeReader::round() {
  const Instant now = services_.clock.now() + services_.clock.wall_ahead();
  if (now < rest_until_) return false;
  if (ledger_ == nullptr && !begin(now)) return false;
  db_->begin();
  if (db_->failed()) {
    begin_anew(db_->commit().error(), now);
    return false;
  }
  file_->begin();
  keep_heard();
  const bool more = read_log(now);
  do_tasks(now);
  std::deque<MailOutcome> outcomes = ledger_->outcomes();
  keep_outcomes(outcomes);
  forgotten_ += file_->forget(now - settings_.keep, settings_.recipients);
  dead_->forget(now);
  note_progress(now);
  if (const auto kept = db_->commit(); !kept) {
    begin_anew(kept.error(), now);
    return false;
  }
  keeping_.clear();
  counted_.clear();
  for (const auto& asked : std::exchange(doing_, {})) asked->kept.set_value();
  for (OutcomeOutbox::Entry& entry : std::exchange(entries_, {})) charger_->add(std::move(entry));
  count_and_tell(outcomes);
  services_.troubles.tell(kOfOutcomeFile, {});
  const std::string trouble = feed_->trouble();
  services_.troubles.tell(kOfOutcomes, {trouble.empty() ? "" : "outcomes: " + trouble});
  note_figures();
  return more;
}

bool OutcomeReader::within(Task task, std::chrono::milliseconds patience) {
  auto asked = std::make_shared<Asked>();
  asked->task = std::move(task);
  auto kept = asked->kept.get_future();
  const auto waiting = asked;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(asked_, [](const auto& other) { return other->given_up.load(); });
    if (stopping_ || refusing_) return false;
    asked_.push_back(std::move(asked));
  }
  wake_.notify_all();
  if (kept.wait_for(patience) != std::future_status::ready) {
    waiting->given_up = true;
    return false;
  }
  try {
    kept.get();
    return true;
  } catch (const std::exception& error) {
    say(fmt::format("outcomes: {}", error.what()));
    return false;
  }
}

void OutcomeReader::refuse_tasks() {
  const std::lock_guard lock(mutex_);
  refusing_ = true;
}

void OutcomeReader::do_tasks(Instant now) {
  {
    const std::lock_guard lock(mutex_);
    doing_.insert(doing_.end(), std::make_move_iterator(asked_.begin()), std::make_move_iterator(asked_.end()));
    asked_.clear();
  }
  std::erase_if(doing_, [&](const auto& asked) {
    if (asked->given_up) return true;
    try {
      asked->task(*ledger_, *dead_, now);
      return false;
    } catch (...) {
      asked->kept.set_exception(std::current_exception());
      return true;
    }
  });
}

// What is counted for good is needed no more.
void OutcomeReader::keep_outcomes(const std::deque<MailOutcome>& outcomes) {
  for (const MailOutcome& outcome : outcomes) {
    note_dead(outcome);
    const auto unit = unit_of(outcome.kind);
    if (!unit) continue;
    const Sending& mail = outcome.sending;
    const bool unmeant = mail.sender.empty() || !outcome.became.empty();
    for (const OutcomeKey& key : outcome.keys) {
      OutcomeOutbox::Entry entry{.key = key, .outcome = {*unit, "", outcome.time, unmeant}};
      if (!counts_anywhere(*services_.policy.get(), key, entry.outcome)) continue;
      if (entries_.size() + charger_->waiting() >= kMostUncounted) {
        ++untold_;
        continue;
      }
      entry.outcome.member = fmt::format("{} {} {}", mail.queue_id, mail.time.time_since_epoch().count(),
                                         outcome.became.empty() ? outcome.recipient : outcome.became);
      outbox_->add(entry);
      entries_.push_back(std::move(entry));
    }
  }
  const auto counted = charger_->counted();
  counted_.insert(counted_.end(), counted.begin(), counted.end());
  for (const std::int64_t number : counted_) outbox_->remove(number);
}

// Who takes mail is alive. A report tells of no death: any recipient of the message could have written it of another
// one.
void OutcomeReader::note_dead(const MailOutcome& outcome) {
  const std::string& address = outcome.became.empty() ? outcome.recipient : outcome.became;
  const bool local = (outcome.local && outcome.became.empty()) || is_served(services_.policy.get()->site(), address);
  if (outcome.kind == OutcomeKind::delivered) {
    dead_->clear(address);
  } else if (outcome.kind == OutcomeKind::hard_bounce && !local && outcome.source == MailOutcome::Source::log) {
    dead_->report(address, outcome.time, outcome.explained.reason, outcome.status.text);
  }
}

// Goes on where the file says, some lines earlier if they are still there: what they tell is known, and changes
// nothing, but for which message went on under which id.
bool OutcomeReader::begin(Instant now) {
  OutcomeFile::Progress progress = file_->progress();
  if (progress.log != settings_.log) progress = {settings_.log, "", "", 0};
  auto feed = open_mail_log_feed(settings_.log, progress.earlier);
  again_ = progress.lines;
  if (feed && !(*feed)->goes_on()) {
    feed = open_mail_log_feed(settings_.log, progress.position);
    again_ = 0;
  }
  if (!feed) {
    services_.troubles.tell(kOfOutcomes, {"outcomes: " + feed.error()});
    rest_until_ = now + kAfterTrouble;
    return false;
  }
  if (const std::string loss = (*feed)->loss(); !loss.empty()) {
    say(fmt::format("outcomes: {}: {}", settings_.log, loss));
  }
  feed_ = *std::move(feed);
  ledger_ = std::make_unique<OutcomeLedger>(*file_, *book_);
  read_ += std::exchange(lines_, 0);
  checkpoints_.assign(1, {feed_->landmark(), 0, now});
  return true;
}

// What the transaction would have done is done once it can be.
void OutcomeReader::begin_anew(const std::string& why, Instant now) {
  if (!why.empty()) services_.troubles.tell(kOfOutcomeFile, {"outcomes: " + why});
  db_->roll_back();
  file_->roll_back();
  dead_->read_anew();
  entries_.clear();
  noted_ = {};
  if (ledger_ != nullptr) add_figures(ledger_->figures());
  ledger_.reset();
  feed_.reset();
  rest_until_ = now + kAfterTrouble;
  const std::lock_guard lock(mutex_);
  for (const SentMail& mail : keeping_) heard_recipients_ += mail.recipients.size();
  heard_.insert(heard_.begin(), std::make_move_iterator(keeping_.begin()), std::make_move_iterator(keeping_.end()));
  keeping_.clear();
}

void OutcomeReader::keep_heard() {
  std::vector<SentMail> heard;
  {
    const std::lock_guard lock(mutex_);
    heard.swap(heard_);
    heard_recipients_ = 0;
  }
  const std::size_t first = keeping_.size();
  keeping_.insert(keeping_.end(), std::make_move_iterator(heard.begin()), std::make_move_iterator(heard.end()));
  for (std::size_t i = first; i < keeping_.size(); ++i) file_->add(keeping_[i].sending, keeping_[i].recipients);
}

// A message is recorded before the MTA may say anything of it.
bool OutcomeReader::read_log(Instant now) {
  bool first = true;
  return feed_->read(now, [&](Instant time, const LogEvent& event) {
    if (std::exchange(first, false)) {
      services_.recorder.catch_up(kForRecords);
      keep_heard();
    }
    ++lines_;
    const bool again = again_ > 0;
    if (again) --again_;
    ledger_->take(std::min(time, now), event, again);
  });
}

void OutcomeReader::note_progress(Instant now) {
  const std::string position = feed_->position();
  const std::string landmark = feed_->landmark();
  if (landmark != checkpoints_.back().position) checkpoints_.push_back({landmark, lines_, now});
  const auto too_old = [&](const Checkpoint& next) {
    return checkpoints_.front().position.empty() || next.time + kReadAgain < now ||
           lines_ - next.lines > kMostReadAgain;
  };
  while (checkpoints_.size() > 1 && too_old(checkpoints_[1])) checkpoints_.pop_front();
  const OutcomeFile::Progress progress{settings_.log, position, checkpoints_.front().position,
                                       lines_ - checkpoints_.front().lines};
  if (progress == noted_) return;
  file_->set_progress(progress);
  noted_ = progress;
}

void OutcomeReader::count_and_tell(std::deque<MailOutcome>& outcomes) {
  const Instant now = services_.clock.now();
  const std::string ref = outcomes.empty() ? "" : services_.references.next();
  guarded(kOfOutcomes, [&] { charger_->send(now); });
  for (MailOutcome& outcome : outcomes) {
    outcome.counted = now;
    outcome.counted_ref = ref;
    for (OutcomeListener* listener : listeners_) guarded(kOfOutcomes, [&] { listener->hear(outcome); });
  }
}

void OutcomeReader::add_figures(const OutcomeLedger::Figures& figures) {
  before_.attempts += figures.attempts;
  before_.unknown += figures.unknown;
  before_.outcomes += figures.outcomes;
}

void OutcomeReader::note_figures() {
  const OutcomeLedger::Figures present = ledger_ == nullptr ? OutcomeLedger::Figures() : ledger_->figures();
  const std::lock_guard lock(mutex_);
  figures_.lines = read_ + lines_;
  figures_.attempts = before_.attempts + present.attempts;
  figures_.unknown = before_.unknown + present.unknown;
  figures_.outcomes = before_.outcomes + present.outcomes;
  figures_.messages = file_->contents().messages;
  figures_.recipients = file_->contents().recipients;
  figures_.forgotten = forgotten_;
  figures_.untold = untold_;
  figures_.uncounted = static_cast<std::int64_t>(charger_->waiting());
  figures_.dead = static_cast<std::int64_t>(dead_->dead());
}

}  // namespace replygate
