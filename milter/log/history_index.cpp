#include "milter/log/history_index.h"

#include <fmt/format.h>

#include <algorithm>

namespace replygate {
namespace {

constexpr std::size_t kRunsOfLevel = 16;
constexpr std::int64_t kMostMerged = 16'000'000;  // places; some 300 ms
constexpr std::int64_t kSlice = 32'768;           // places that are sorted together when runs become one

// Where a page of a run is; in the order of runs, then of hashes.
constexpr std::int64_t page_id(std::int64_t run, std::uint32_t hash) { return run << 32U | hash; }

// Gives the places of a run, from its smallest hash on.
class RunReader {
 public:
  RunReader(sqlite3* db, std::int64_t run) {
    std::string why;
    pages_ = sqlite::prepare(db, "SELECT id, places FROM page WHERE id >= ? AND id < ? ORDER BY id", why);
    if (!pages_) return;
    sqlite3_bind_int64(pages_.get(), 1, page_id(run, 0));
    sqlite3_bind_int64(pages_.get(), 2, page_id(run + 1, 0));
    status_ = SQLITE_ROW;
  }

  // Appends those with smaller hashes than `end`.
  void take(std::uint64_t end, std::vector<WordPlace>& places) {
    for (;;) {
      for (; at_ < page_.size() && hash_in(page_[at_]) < end; ++at_) places.push_back(page_[at_]);
      if (at_ < page_.size() || !next()) return;
    }
  }
  bool good() const { return status_ == SQLITE_ROW || status_ == SQLITE_DONE; }

 private:
  bool next() {
    if (status_ != SQLITE_ROW) return false;
    status_ = sqlite3_step(pages_.get());
    if (status_ != SQLITE_ROW) return false;
    page_.clear();
    at_ = 0;
    read_page(static_cast<std::uint32_t>(sqlite3_column_int64(pages_.get(), 0)), sqlite::octets(pages_.get(), 1),
              page_);
    return true;
  }

  sqlite::Statement pages_;
  int status_ = SQLITE_ERROR;
  std::vector<WordPlace> page_;
  std::size_t at_ = 0;
};

}  // namespace

bool HistoryIndex::open(sqlite3* db) {
  db_ = db;
  add_page_ = sqlite::prepare_to_keep(db, "INSERT INTO page VALUES (?, ?)");
  std::string why;
  const auto all = sqlite::prepare(db, "SELECT id, level, places FROM run", why);
  if (!add_page_ || !all) return false;
  int status = sqlite3_step(all.get());
  for (; status == SQLITE_ROW; status = sqlite3_step(all.get())) {
    const std::int64_t id = sqlite3_column_int64(all.get(), 0);
    runs_[id] = {sqlite3_column_int64(all.get(), 1), sqlite3_column_int64(all.get(), 2)};
  }
  if (!runs_.empty()) last_ = runs_.rbegin()->first;
  return status == SQLITE_DONE;
}

RunPages HistoryIndex::pages_of(std::int64_t run) {
  return RunPages([this, run](std::uint32_t first, std::string_view page) {
    sqlite3_bind_int64(add_page_.get(), 1, page_id(run, first));
    sqlite::bind_octets(add_page_.get(), 2, page);
    return sqlite::run(add_page_.get());
  });
}

bool HistoryIndex::write(const std::vector<WordPlace>& places, RunPages& pages) {
  return std::ranges::all_of(places, [&](WordPlace place) { return pages.add(place); });
}

bool HistoryIndex::note(std::int64_t run, const Run& what) {
  const std::string sql = fmt::format("INSERT INTO run VALUES ({}, {}, {})", run, what.level, what.places);
  if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return false;
  runs_[run] = what;
  last_ = run;
  return true;
}

bool HistoryIndex::forget(const std::vector<std::int64_t>& runs) {
  for (const std::int64_t run : runs) {
    const std::string sql = fmt::format("DELETE FROM page WHERE id >= {} AND id < {}; DELETE FROM run WHERE id = {}",
                                        page_id(run, 0), page_id(run + 1, 0), run);
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return false;
    runs_.erase(run);
  }
  return true;
}

bool HistoryIndex::add(std::vector<WordPlace>& places) {
  sort_places(places, spare_);
  RunPages pages = pages_of(last_ + 1);
  return write(places, pages) && pages.end() && note(last_ + 1, {.level = 0, .places = pages.places()});
}

std::vector<std::int64_t> HistoryIndex::full_level() const {
  std::map<std::int64_t, std::vector<std::int64_t>> levels;
  for (const auto& [id, run] : runs_) {
    std::vector<std::int64_t>& level = levels[run.level];
    level.push_back(id);
    if (level.size() == kRunsOfLevel) return level;
  }
  return {};
}

bool HistoryIndex::must_merge() const { return runs_.size() >= kRunsOfLevel && !full_level().empty(); }

bool HistoryIndex::merge() {
  const std::vector<std::int64_t> runs = full_level();
  return runs.empty() || merge(runs, runs_.at(runs.front()).level + 1);
}

bool HistoryIndex::merge_all() {
  std::vector<std::int64_t> runs;
  std::int64_t places = 0;
  std::int64_t level = 0;
  for (const auto& [id, run] : runs_) {
    if (places + run.places > kMostMerged) continue;
    runs.push_back(id);
    places += run.places;
    level = std::max(level, run.level + 1);
  }
  return runs.size() < 2 || merge(runs, level);
}

// By slices of hashes, so that it needs little memory however long they are.
bool HistoryIndex::merge(const std::vector<std::int64_t>& runs, std::int64_t level) {
  std::vector<RunReader> readers;
  std::int64_t all = 0;
  for (const std::int64_t run : runs) {
    readers.emplace_back(db_, run);
    all += runs_[run].places;
  }
  const std::int64_t made = last_ + 1;
  RunPages pages = pages_of(made);
  const std::uint64_t slice = (std::uint64_t{1} << 32U) / (static_cast<std::uint64_t>(all / kSlice) + 1) + 1;
  for (std::uint64_t end = slice; end < (std::uint64_t{1} << 32U) + slice; end += slice) {
    places_.clear();
    for (RunReader& reader : readers) reader.take(end, places_);
    sort_places(places_, spare_);
    if (!write(places_, pages)) return false;
  }
  if (!pages.end() || !std::ranges::all_of(readers, &RunReader::good)) return false;
  readers.clear();
  return forget(runs) && note(made, {.level = level, .places = pages.places()});
}

std::vector<std::uint32_t> HistoryIndex::find(sqlite3* db, std::uint32_t hash) {
  std::vector<std::uint32_t> blocks;
  std::string why;
  const auto runs = sqlite::prepare(db, "SELECT id FROM run", why);
  const auto page =
      sqlite::prepare(db, "SELECT id, places FROM page WHERE id >= ? AND id <= ? ORDER BY id DESC LIMIT 1", why);
  if (!runs || !page) return blocks;
  std::vector<WordPlace> places;
  while (sqlite3_step(runs.get()) == SQLITE_ROW) {
    const std::int64_t run = sqlite3_column_int64(runs.get(), 0);
    sqlite3_bind_int64(page.get(), 1, page_id(run, 0));
    sqlite3_bind_int64(page.get(), 2, page_id(run, hash));
    if (sqlite3_step(page.get()) == SQLITE_ROW) {
      places.clear();
      read_page(static_cast<std::uint32_t>(sqlite3_column_int64(page.get(), 0)), sqlite::octets(page.get(), 1), places);
      for (const WordPlace place : places) {
        if (hash_in(place) == hash) blocks.push_back(block_in(place));
      }
    }
    sqlite3_reset(page.get());
  }
  std::ranges::sort(blocks, std::greater());
  blocks.erase(std::ranges::unique(blocks).begin(), blocks.end());
  return blocks;
}

}  // namespace replygate
