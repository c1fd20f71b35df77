#include "milter/log/history.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <set>
#include <system_error>

#include "milter/log/say.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSegments = 16;  // into which the history is cut, roughly
constexpr std::int64_t kSmallestSegment = 1000;

// How an entry waits: its time, the number of words, the words, the JSON.
std::string pack(Instant time, const std::set<std::int64_t>& words, std::string_view json) {
  std::string entry;
  const auto add = [&](std::int64_t number) { entry.append(reinterpret_cast<const char*>(&number), sizeof number); };
  add(time.time_since_epoch().count());
  add(static_cast<std::int64_t>(words.size()));
  for (const std::int64_t word : words) add(word);
  entry += json.substr(0, json.size() - 1);
  return entry;
}

HistorySegment::Entry unpack(std::string_view entry) {
  const auto take = [&entry] {
    std::int64_t number = 0;
    std::memcpy(&number, entry.data(), sizeof number);
    entry.remove_prefix(sizeof number);
    return number;
  };
  HistorySegment::Entry result;
  result.time = Instant(Duration(take()));
  for (std::int64_t count = take(); count > 0; --count) result.words.push_back(take());
  result.json = entry;
  return result;
}

std::set<std::int64_t> words_of(const Record& record) {
  const Transaction& t = record.transaction;
  std::set<std::int64_t> words;
  const auto add = [&](std::string_view word) {
    if (!word.empty()) words.insert(HistorySegment::hash(word));
  };
  for (const std::string_view word : {record.session, record.ref}) add(word);
  for (const std::string& word : {t.queue_id, t.sender.full, t.user, record.connection.ip_text}) add(word);
  for (const JudgedRecipient& judged : record.recipients) {
    add(judged.ref);
    add(judged.recipient.address.full);
  }
  return words;
}

tl::expected<void, std::string> make_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return tl::unexpected(fmt::format("{}: {}", path, std::generic_category().message(errno)));
}

}  // namespace

History::History(std::string folder, const HistorySettings& settings, Troubles& troubles)
    : folder_(std::move(folder)),
      settings_(settings),
      troubles_(troubles),
      records_of_segment_(std::max(settings.records / kSegments, kSmallestSegment)),
      backlog_("history", [this](const Backlog::Entries& entries) { return deliver(entries); }) {}

tl::expected<std::unique_ptr<History>, std::string> History::open(const std::string& folder,
                                                                  const HistorySettings& settings, Troubles& troubles) {
  if (auto made = make_folder(folder); !made) return tl::unexpected(made.error());
  return std::unique_ptr<History>(new History(folder, settings, troubles));
}

void History::hear(Rendering& rendering) {
  const Record& record = rendering.record();
  keep(record.time, words_of(record), rendering.json());
}

void History::keep(Instant time, const std::set<std::int64_t>& words, std::string_view json) {
  backlog_.add(pack(time, words, json));
}

std::string History::path_of(std::uint64_t number) const { return fmt::format("{}/{:08}.db", folder_, number); }

std::vector<std::uint64_t> History::segments() const {
  std::vector<std::uint64_t> numbers;
  std::error_code error;
  fs::directory_iterator entry(folder_, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::uint64_t number = 0;
    const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (problem == std::errc() && std::string_view(end) == ".db") numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

// The file that was written last goes on; one that cannot be used is kept under another name.
tl::expected<void, std::string> History::begin_segment(Instant now) {
  if (auto made = make_folder(folder_); !made) return made;
  const auto numbers = segments();
  const std::uint64_t last = numbers.empty() ? 0 : numbers.back();
  if (segment_ == nullptr && last > 0) {
    auto opened = HistorySegment::open(path_of(last));
    if (opened && !full(**opened)) {
      segment_ = *std::move(opened);
      return {};
    }
    if (!opened && !opened.error().damaged) return tl::unexpected(opened.error().why);
    if (!opened) {
      const std::string aside = path_of(last) + ".damaged";
      say(fmt::format("history: {}; it is kept as {}", opened.error().why, aside));
      for (const char* suffix : {"", "-wal", "-shm"})
        std::rename((path_of(last) + suffix).c_str(), (aside + suffix).c_str());
    }
  }
  segment_.reset();
  forget(now);
  auto fresh = HistorySegment::open(path_of(last + 1));
  if (!fresh) return tl::unexpected(fresh.error().why);
  segment_ = *std::move(fresh);
  return {};
}

bool History::full(const HistorySegment& segment) const {
  return segment.records() >= records_of_segment_ || segment.octets() >= settings_.octets / kSegments;
}

// Before a new segment is begun, which needs room, too.
void History::forget(Instant now) {
  const auto numbers = segments();
  const std::size_t most = static_cast<std::size_t>(settings_.records / records_of_segment_) + 1;
  std::int64_t octets = settings_.octets / kSegments;
  for (const std::uint64_t number : numbers) octets += HistorySegment::octets_of(path_of(number));
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    const std::string path = path_of(numbers[i]);
    const bool old = HistorySegment::last_change(path) + settings_.keep < now;
    if (!old && numbers.size() - i < most && octets <= settings_.octets) return;
    octets -= HistorySegment::octets_of(path);
    for (const char* suffix : {"", "-wal", "-shm"}) std::remove((path + suffix).c_str());
  }
}

// What is written to files without a name nobody finds.
void History::look_at_files() {
  if (segment_ == nullptr || segment_->in_place()) return;
  segment_.reset();
  say(fmt::format("history: somebody has removed or changed what is in {}; it goes on with new files", folder_));
}

tl::expected<void, std::string> History::write(const std::vector<HistorySegment::Entry>& entries) {
  const Instant now = entries.back().time;
  look_at_files();
  const bool at_end = segment_ != nullptr && full(*segment_);
  const bool old =
      segment_ != nullptr && segment_->records() > 0 && segment_->first() + settings_.keep / kSegments < now;
  if (segment_ == nullptr || at_end || old) {
    if (auto begun = begin_segment(now); !begun) return begun;
  }
  auto added = segment_->add(entries);
  if (!added) segment_.reset();
  return added;
}

bool History::deliver(const Backlog::Entries& packed) {
  std::vector<HistorySegment::Entry> entries;
  for (const std::string& entry : packed) entries.push_back(unpack(entry));
  const auto written = write(entries);
  troubles_.tell("history", {written ? "" : fmt::format("history: {}; records are lost to `why`", written.error())});
  if (written) written_ += static_cast<std::int64_t>(entries.size());
  return written.has_value();
}

std::vector<std::string> History::find(std::string_view word, std::size_t most) const {
  std::vector<std::string> found;
  const std::int64_t hash = HistorySegment::hash(word);
  auto numbers = segments();
  for (auto it = numbers.rbegin(); it != numbers.rend() && found.size() < most; ++it) {
    for (std::string& line : HistorySegment::find(path_of(*it), hash, most - found.size())) {
      found.push_back(std::move(line));
    }
  }
  return found;
}

}  // namespace replygate
