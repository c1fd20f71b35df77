#include "milter/log/history.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <charconv>
#include <filesystem>
#include <system_error>

#include "milter/log/say.h"

namespace replygate {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kSegments = 16;  // into which the history is cut, roughly
constexpr std::int64_t kSmallestSegment = 1000;

using Words = boost::container::small_vector<std::string_view, 16>;

Words words_of(const Record& record) {
  const Transaction& t = record.transaction;
  Words words = {record.session, record.ref, t.queue_id, t.sender.full, t.user, record.connection.ip_text};
  for (const JudgedRecipient& judged : record.recipients) {
    words.push_back(judged.ref);
    words.push_back(judged.recipient.address.full);
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
      queue_([this](std::vector<HistoryBlock>& blocks) { return deliver(blocks); }) {}

tl::expected<std::unique_ptr<History>, std::string> History::open(const std::string& folder,
                                                                  const HistorySettings& settings, Troubles& troubles) {
  if (auto made = make_folder(folder); !made) return tl::unexpected(made.error());
  return std::unique_ptr<History>(new History(folder, settings, troubles));
}

void History::hear(Rendering& rendering) {
  const Record& record = rendering.record();
  keep(record.time, words_of(record), rendering.json());
}

void History::keep(Instant time, std::span<const std::string_view> words, std::string_view json) {
  queue_.add(time, words, json);
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

// The file that was written last goes on, if it can: false where another one must be begun. One that is damaged is kept
// under another name.
tl::expected<bool, std::string> History::go_on_with(const std::string& path) {
  using Kind = HistorySegment::Failure::Kind;
  auto opened = HistorySegment::open(path);
  if (opened) {
    if (!full(**opened)) segment_ = *std::move(opened);
    return segment_ != nullptr;
  }
  if (opened.error().kind == Kind::passing) return tl::unexpected(opened.error().why);
  if (opened.error().kind == Kind::foreign) return false;
  const std::string aside = path + ".damaged";
  say(fmt::format("history: {}; it is kept as {}", opened.error().why, aside));
  for (const char* suffix : {"", "-wal", "-shm"}) std::rename((path + suffix).c_str(), (aside + suffix).c_str());
  return false;
}

tl::expected<void, std::string> History::begin_segment(Instant now) {
  if (auto made = make_folder(folder_); !made) return made;
  const auto numbers = segments();
  const std::uint64_t last = numbers.empty() ? 0 : numbers.back();
  if (segment_ == nullptr && last > 0) {
    const auto goes_on = go_on_with(path_of(last));
    if (!goes_on) return tl::unexpected(goes_on.error());
    if (*goes_on) return {};
  }
  // What could not be finished is found all the same.
  if (segment_ != nullptr) static_cast<void>(segment_->finish());
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

tl::expected<void, std::string> History::write(std::vector<HistoryBlock>& blocks) {
  const Instant now = blocks.back().last;
  look_at_files();
  const bool at_end = segment_ != nullptr && full(*segment_);
  const bool old =
      segment_ != nullptr && segment_->records() > 0 && segment_->first() + settings_.keep / kSegments < now;
  if (segment_ == nullptr || at_end || old) {
    if (auto begun = begin_segment(now); !begun) return begun;
  }
  // A file of which something has failed is opened anew. Where only tidying fails the records are kept.
  std::unique_ptr<HistorySegment> segment = std::move(segment_);
  auto added = segment->add(blocks);
  if (added && segment->tidy()) segment_ = std::move(segment);
  return added;
}

bool History::deliver(std::vector<HistoryBlock>& blocks) {
  std::int64_t records = 0;
  for (const HistoryBlock& block : blocks) records += block.records;
  const auto written = write(blocks);
  troubles_.tell("history", {written ? "" : fmt::format("history: {}; records are lost to `why`", written.error())});
  if (written) written_ += records;
  return written.has_value();
}

std::vector<std::string> History::find(std::string_view word, std::size_t most) const {
  if (word.empty()) return {};
  std::vector<std::string> paths;
  for (const std::uint64_t number : segments()) paths.push_back(path_of(number));
  std::ranges::reverse(paths);
  return find_in_segments(paths, word, most);
}

}  // namespace replygate
