#include "milter/lookup/mailbox_sqlite.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "milter/lookup/mailboxes.h"
#include "milter/lookup/sqlite.h"

namespace replygate {
namespace {

using Clock = std::chrono::steady_clock;

class MailboxSqlite final : public Mailboxes {
 public:
  MailboxSqlite(sqlite::Database db, sqlite::Statement statement, Duration timeout)
      : db_(std::move(db)), statement_(std::move(statement)), timeout_(timeout), thread_([this] { run(); }) {
    // The time that a look-up itself takes is bounded too.
    sqlite3_progress_handler(db_.get(), 1000, &MailboxSqlite::out_of_time, this);
  }
  ~MailboxSqlite() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  MailboxSqlite(const MailboxSqlite&) = delete;
  MailboxSqlite& operator=(const MailboxSqlite&) = delete;

  void used(const Address& recipient, std::int64_t, Told told) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back({recipient.full, std::move(told), Clock::now() + timeout_});
    }
    wake_.notify_one();
  }

 private:
  struct Question {
    std::string address;
    Told told;
    Clock::time_point deadline;
  };

  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      Question question = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      question.told(look_up(question));
      lock.lock();
    }
  }

  std::optional<std::int64_t> look_up(const Question& question) {
    if (Clock::now() > question.deadline) return std::nullopt;
    deadline_ = question.deadline;
    sqlite3_stmt* statement = statement_.get();
    sqlite3_bind_text(statement, 1, question.address.c_str(), static_cast<int>(question.address.size()), SQLITE_STATIC);
    std::optional<std::int64_t> percent;
    if (sqlite3_step(statement) == SQLITE_ROW) {
      percent = percent_of(sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1));
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return percent;
  }

  static int out_of_time(void* self) { return Clock::now() > static_cast<MailboxSqlite*>(self)->deadline_ ? 1 : 0; }

  // Used by the thread alone once it runs.
  sqlite::Database db_;
  sqlite::Statement statement_;
  Clock::time_point deadline_ = Clock::time_point::max();
  const Duration timeout_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Question> waiting_;  // guarded by mutex_
  bool stopping_ = false;         // guarded by mutex_
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Mailboxes> open_mailbox_sqlite(const DataSource& source, Duration timeout, std::string& why) {
  auto db = sqlite::open(source.path, why);
  if (!db) return nullptr;
  auto statement = sqlite::prepare(db.get(), source.query, why);
  if (!statement) return nullptr;
  if (sqlite3_bind_parameter_count(statement.get()) != 1 || sqlite3_column_count(statement.get()) != 2) {
    why =
        "the query needs one parameter, the address, and two columns, used and limit: select used, quota from mailbox "
        "where address = ?";
    return nullptr;
  }
  return std::make_unique<MailboxSqlite>(std::move(db), std::move(statement), timeout);
}

}  // namespace replygate
