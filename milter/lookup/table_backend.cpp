#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "milter/files.h"
#include "milter/guarded.h"
#include "milter/lookup/live_backend.h"
#include "milter/lookup/live_sources.h"
#include "milter/lookup/table_plugin.h"
#include "milter/lookup/table_query.h"
#include "milter/lookup/table_workers.h"
#include "policy/load/lookup_table.h"
#include "policy/mail/quantity.h"

namespace replygate {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kMostWorkers = 4;  // connections of one source
constexpr std::size_t kMostValues = 1000;
constexpr std::string_view kTooMany =
    "its answer has more values than expansion_limit, than 1000, or than 10,000 octets";

// The plug-in of a kind of database; null, with the reason. What is loaded stays.
OpenTable plugin_of(LiveSource::Kind kind, std::string& why) {
  const std::string name = fmt::format("replygate-{}.so", to_string(kind));
  void* object = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* function = object == nullptr ? nullptr : ::dlsym(object, "replygate_table");
  if (function == nullptr) {
    const char* said = ::dlerror();
    why = fmt::format("{}; install the package replygate-{}", said == nullptr ? name : said, to_string(kind));
  }
  return reinterpret_cast<OpenTable>(function);
}

// What the description says now.
class TableDescription {
 public:
  static std::optional<TableDescription> read(const LiveSource& source, std::string& why) {
    const auto text = read_file(source.table, why);
    if (!text) return std::nullopt;
    return TableDescription(source, parse_lookup_table(*text));
  }

  const TableParameters& parameters() const { return parameters_; }
  const TableBounds& bounds() const { return bounds_; }
  const std::string& query() const { return query_; }
  std::string value(const std::string& name, const std::string& otherwise = "") const {
    const auto it = parameters_.find(name);
    return it == parameters_.end() ? otherwise : it->second;
  }

 private:
  TableDescription(const LiveSource& source, const std::vector<TableParameter>& given) {
    for (const TableParameter& p : given) parameters_[p.name] = p.value;
    query_ = source.kind == LiveSource::Kind::ldap ? value("query_filter", "(mailacceptinggeneralid=%s)")
                                                   : table_query(given);
    bounds_.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(source.timeout);
    bounds_.octets = LiveSources::kLongestAnswer;
    const auto limit = static_cast<std::size_t>(parse_count(value("expansion_limit", "0")).value_or(0));
    bounds_.values = limit == 0 ? kMostValues : std::min(limit, kMostValues);
  }

  TableParameters parameters_;
  TableBounds bounds_;
  std::string query_;
};

struct TableQuestion {
  std::string key;
  LiveBackend::Heard heard;
  std::chrono::steady_clock::time_point deadline;
};

// What the workers of a source share with it. Each has a connection of its own.
class TableWork : public std::enable_shared_from_this<TableWork> {
 public:
  TableWork(asio::io_context& loop, const LiveSource& source) : loop_(loop), source_(source) {}

  void ask(TableQuestion question) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(question));
    if (waiting_.size() > idle_ && workers_ < kMostWorkers) {
      // Without another thread the question waits for those that there are, or for its deadline.
      if (guarded("lookups", [&] { table_workers().begin([self = shared_from_this()] { self->work(); }); })) ++workers_;
    }
    wake_.notify_one();
  }

  void stop() {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    waiting_.clear();
    wake_.notify_all();
  }

 private:
  std::optional<TableQuestion> next() {
    std::unique_lock lock(mutex_);
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    --idle_;
    if (stopping_) return std::nullopt;
    TableQuestion question = std::move(waiting_.front());
    waiting_.pop_front();
    return question;
  }

  void work() {
    Table table;
    while (auto question = next()) {
      guarded("lookups", [&] { answer(*question, table); });  // else the question ends by its deadline
    }
  }

  // What one worker has.
  struct Table {
    std::optional<TableDescription> description;
    std::unique_ptr<TableConnection> connection;
  };

  void answer(TableQuestion& question, Table& table) {
    if (std::chrono::steady_clock::now() > question.deadline) return;  // it was told already
    LiveBackend::Failure failure{"want of memory", true};
    LiveAnswer answer;
    guarded("lookups", [&] { answer = look_up(question.key, table, failure); });
    if (!failure.why.empty()) table.connection.reset();
    asio::post(loop_,
               [answer = std::move(answer), failure, heard = std::move(question.heard)] { heard(answer, failure); });
  }

  LiveAnswer look_up(const std::string& key, Table& table, LiveBackend::Failure& failure) const {
    const bool kept = table.connection != nullptr;
    if (!kept && !connect(table, failure)) return {};
    LiveAnswer answer = ask_connected(key, table, failure);
    if (!failure.gone || !kept) return answer;
    // A connection that was kept may have ended meanwhile; that says nothing of the database.
    table.connection.reset();
    return connect(table, failure) ? ask_connected(key, table, failure) : LiveAnswer();
  }

  bool connect(Table& table, LiveBackend::Failure& failure) const {
    failure = {"", true};
    const OpenTable open = plugin_of(source_.kind, failure.why);
    if (open == nullptr) return false;
    table.description = TableDescription::read(source_, failure.why);
    if (!table.description) return false;
    const TableDescription& said = *table.description;
    table.connection.reset(open(said.parameters(), said.bounds(), failure.why));
    return table.connection != nullptr;
  }

  LiveAnswer ask_connected(const std::string& key, Table& table, LiveBackend::Failure& failure) const {
    failure = {};
    const TableDescription& said = *table.description;
    TableConnection& connection = *table.connection;
    if (!is_in_domains(said.value("domain"), key)) return LiveAnswer::none();
    const auto query = expand_query(said.query(), key, [&](std::string_view t) { return connection.quoted(t); });
    const auto base =
        expand_query(said.value("search_base"), key, [&](std::string_view t) { return connection.quoted_in_base(t); });
    if (!query || !base) return LiveAnswer::none();
    TableValues values(said.bounds());
    const auto asked = connection.ask(*query, *base, values, failure.why);
    failure.gone = asked == TableConnection::Asked::gone;
    if (values.too_many()) failure = {std::string(kTooMany), false};
    return failure.why.empty() ? answer_of(values, said, key) : LiveAnswer();
  }

  // As Postfix joins them.
  static LiveAnswer answer_of(const TableValues& values, const TableDescription& said, const std::string& key) {
    std::string text;
    for (const std::string& value : values.all()) {
      const auto result = expand_result(said.value("result_format", "%s"), value, key);
      if (result) text += (text.empty() ? "" : ",") + *result;
    }
    return text.empty() ? LiveAnswer::none() : LiveAnswer::found(std::move(text));
  }

  asio::io_context& loop_;
  const LiveSource source_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<TableQuestion> waiting_;  // guarded by mutex_; so are the following
  std::size_t workers_ = 0;
  std::size_t idle_ = 0;
  bool stopping_ = false;
};

class TableBackend final : public LiveBackend {
 public:
  TableBackend(asio::io_context& loop, const LiveSource& source)
      : work_(std::make_shared<TableWork>(loop, source)), timeout_(source.timeout) {}
  ~TableBackend() override { work_->stop(); }
  TableBackend(const TableBackend&) = delete;
  TableBackend& operator=(const TableBackend&) = delete;

  void ask(const std::string& key, Heard heard) override {
    work_->ask({key, std::move(heard), std::chrono::steady_clock::now() + timeout_});
  }

 private:
  std::shared_ptr<TableWork> work_;
  const Duration timeout_;
};

}  // namespace

// Never destroyed: a thread may still be about to leave when the process ends.
TableWorkers& table_workers() {
  static auto* workers = new TableWorkers();
  return *workers;
}

std::unique_ptr<LiveBackend> open_table(asio::io_context& loop, const LiveSource& source) {
  return std::make_unique<TableBackend>(loop, source);
}

}  // namespace replygate
