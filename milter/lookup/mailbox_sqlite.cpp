#include "milter/lookup/mailbox_sqlite.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>

#include "milter/guarded.h"
#include "milter/lookup/mailboxes.h"
#include "milter/lookup/sqlite.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kFileLook{1};  // at whether another file has taken the place of the one that is open
constexpr std::chrono::seconds kIdleAsk{5};   // it is asked though there is no mail; each second while in trouble

// A database that is open for its query.
struct OpenMailboxes {
  sqlite::Database db;
  sqlite::Statement statement;
  std::uint64_t inode = 0;
};

std::uint64_t inode_of(const std::string& path) {
  struct stat s{};
  return ::stat(path.c_str(), &s) == 0 ? s.st_ino : 0;
}

std::optional<OpenMailboxes> open_database(const DataSource& source, std::string& why) {
  OpenMailboxes open{.db = nullptr, .statement = nullptr, .inode = inode_of(source.path)};
  open.db = sqlite::open(source.path, why);
  if (open.db) open.statement = sqlite::prepare(open.db.get(), source.query, why);
  if (!open.statement) return std::nullopt;
  sqlite3_stmt* statement = open.statement.get();
  if (sqlite3_bind_parameter_count(statement) == 1 && sqlite3_column_count(statement) == 2) return open;
  why =
      "the query needs one parameter, the address, and two columns, used and limit: select used, quota from mailbox "
      "where address = ?";
  return std::nullopt;
}

class MailboxSqlite final : public Mailboxes {
 public:
  MailboxSqlite(DataSource source, OpenMailboxes open, Duration timeout, Troubles& troubles)
      : source_(std::move(source)), timeout_(timeout), troubles_(troubles) {
    use(std::move(open));
    thread_ = std::thread([this] {
      name_thread("mailbox");
      run();
    });
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
      wake_.wait_for(lock, kFileLook, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_ && waiting_.empty()) return;
      std::optional<Question> question;
      if (!waiting_.empty()) {
        question = std::move(waiting_.front());
        waiting_.pop_front();
      }
      lock.unlock();
      guarded("[mailbox]", [&] { look_at_file(); });
      guarded("[mailbox]", [&] { question ? question->told(look_up(*question)) : ask_idly(); });
      question.reset();  // what it holds may call out
      lock.lock();
    }
  }

  // About nobody: that is answered, too.
  void ask_idly() {
    const auto now = Clock::now();
    if (now - asked_ >= (unanswered_.empty() ? kIdleAsk : kFileLook)) look_up({"", nullptr, now + timeout_});
  }

  // The time that a look-up itself takes is bounded too.
  void use(OpenMailboxes open) {
    open_ = std::move(open);
    sqlite3_progress_handler(open_.db.get(), 1000, &MailboxSqlite::out_of_time, this);
  }

  // One that cannot be used leaves the old one open.
  void look_at_file() {
    if (Clock::now() - looked_ < kFileLook) return;
    looked_ = Clock::now();
    const std::uint64_t inode = inode_of(source_.path);
    std::string why;
    if (inode == 0) {
      why = std::generic_category().message(errno);
    } else if (inode != open_.inode) {
      if (auto open = open_database(source_, why)) use(*std::move(open));
    }
    unread_ = why.empty() ? "" : fmt::format("[mailbox] {}: {}; the old file is asked", source_.path, why);
    tell();
  }

  void tell() { troubles_.tell("mailbox", {unread_, unanswered_}); }

  MailboxUse look_up(const Question& question) {
    asked_ = Clock::now();
    if (asked_ > question.deadline) return note(SQLITE_INTERRUPT, {});
    deadline_ = question.deadline;
    sqlite3_stmt* statement = open_.statement.get();
    sqlite3_bind_text(statement, 1, question.address.c_str(), static_cast<int>(question.address.size()), SQLITE_STATIC);
    const int status = sqlite3_step(statement);
    const MailboxUse use = note(status, answer_of(status));
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return use;
  }

  MailboxUse note(int status, MailboxUse use) {
    const bool row = status == SQLITE_ROW;
    const bool well = status == SQLITE_DONE || (row && use != MailboxUse());
    const std::string why = status == SQLITE_INTERRUPT ? "no answer in time"
                            : row                      ? "used and limit are not numbers of octets"
                                                       : sqlite3_errstr(status);
    unanswered_ =
        well ? "" : fmt::format("[mailbox] {}: cannot be asked: {}; mailbox_used is unknown", source_.path, why);
    tell();
    return use;
  }

  // An error, of a time that has passed for instance, says nothing.
  MailboxUse answer_of(int status) const {
    if (status == SQLITE_DONE) return MailboxUse::none();
    if (status != SQLITE_ROW) return {};
    sqlite3_stmt* row = open_.statement.get();
    if (!is_quantity(row, 0) || !is_quantity(row, 1)) return {};
    return MailboxUse::of(percent_of(sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1)));
  }

  // No limit at all may be NULL.
  static bool is_quantity(sqlite3_stmt* row, int column) {
    const int type = sqlite3_column_type(row, column);
    return type == SQLITE_INTEGER || type == SQLITE_FLOAT || type == SQLITE_NULL;
  }

  static int out_of_time(void* self) { return Clock::now() > static_cast<MailboxSqlite*>(self)->deadline_ ? 1 : 0; }

  // Used by the thread alone once it runs.
  const DataSource source_;
  OpenMailboxes open_;
  Clock::time_point looked_{};
  Clock::time_point asked_ = Clock::now();
  std::string unread_;      // what is wrong with the file
  std::string unanswered_;  // with asking the one that is open
  Clock::time_point deadline_ = Clock::time_point::max();
  const Duration timeout_;
  Troubles& troubles_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Question> waiting_;  // guarded by mutex_
  bool stopping_ = false;         // guarded by mutex_
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Mailboxes> open_mailbox_sqlite(const DataSource& source, Duration timeout, Troubles& troubles,
                                               std::string& why) {
  auto open = open_database(source, why);
  if (!open) return nullptr;
  return std::make_unique<MailboxSqlite>(source, *std::move(open), timeout, troubles);
}

}  // namespace replygate
