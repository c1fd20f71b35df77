#include <sodium.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <future>
#include <optional>
#include <span>
#include <system_error>

#include "milter/log/history_segment.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

// Before there were blocks each record was a row, found by rows of words.
std::int64_t hash_of_first_version(std::string_view word) {
  const std::string lower = to_lower(word);
  std::array<unsigned char, crypto_generichash_BYTES_MIN> hash{};
  crypto_generichash(hash.data(), hash.size(), reinterpret_cast<const unsigned char*>(lower.data()), lower.size(),
                     nullptr, 0);
  std::int64_t first = 0;
  std::memcpy(&first, hash.data(), sizeof first);
  return first;
}

std::vector<std::string> find_in_first_version(sqlite3* db, std::string_view word, std::size_t most) {
  std::vector<std::string> found;
  std::string why;
  const auto query = sqlite::prepare(db,
                                     "SELECT json FROM word JOIN record ON record.id = word.record WHERE hash = ? "
                                     "ORDER BY word.record DESC LIMIT ?",
                                     why);
  if (!query) return found;
  sqlite3_bind_int64(query.get(), 1, hash_of_first_version(word));
  sqlite3_bind_int64(query.get(), 2, static_cast<std::int64_t>(most));
  while (sqlite3_step(query.get()) == SQLITE_ROW) found.push_back(sqlite::column(query.get(), 0));
  return found;
}

std::int64_t version_of(sqlite3* db) {
  std::string why;
  const auto version = sqlite::prepare(db, "PRAGMA user_version", why);
  return version && sqlite3_step(version.get()) == SQLITE_ROW ? sqlite3_column_int64(version.get(), 0) : -1;
}

// One look at a file, as it is at one time while it may be written.
class FileSearch {
 public:
  FileSearch(const std::string& path, std::string_view word, std::size_t most)
      : path_(path), word_(word), most_(most) {}

  // Finds out where there may be records, and reads the newest so many places.
  void begin(std::size_t places) {
    std::string why;
    db_ = sqlite::open(path_, why);
    if (!db_ || sqlite3_exec(db_.get(), "BEGIN", nullptr, nullptr, nullptr) != SQLITE_OK) return;
    const std::int64_t version = version_of(db_.get());
    if (version == 0) found_ = find_in_first_version(db_.get(), word_, most_);
    if (version != 1) return;
    in_tail();
    const auto key = found_.size() < most_ ? key_of_words() : std::nullopt;
    if (key) blocks_ = HistoryIndex::find(db_.get(), hash_of_word(word_, *key));
    in_blocks(places, most_);
  }

  // So many records, or all that there are.
  std::vector<std::string> finish(std::size_t most) {
    in_blocks(blocks_.size(), most);
    found_.resize(std::min(found_.size(), most));
    return std::move(found_);
  }

 private:
  std::optional<WordKey> key_of_words() const {
    std::string why;
    const auto query = sqlite::prepare(db_.get(), "SELECT key FROM state", why);
    if (!query || sqlite3_step(query.get()) != SQLITE_ROW) return std::nullopt;
    WordKey key{};
    const std::string_view octets = sqlite::octets(query.get(), 0);
    if (octets.size() == key.size()) std::memcpy(key.data(), octets.data(), key.size());
    return key;
  }

  void in_tail() {
    std::string why;
    const auto query = sqlite::prepare(db_.get(), "SELECT lines FROM tail ORDER BY id DESC", why);
    if (!query) return;
    while (found_.size() < most_ && sqlite3_step(query.get()) == SQLITE_ROW)
      in_text(sqlite::octets(query.get(), 0), most_);
  }

  void in_blocks(std::size_t places, std::size_t most) {
    if (blocks_.empty()) return;
    std::string why;
    const auto query = sqlite::prepare(db_.get(), "SELECT pressed FROM block WHERE id = ?", why);
    if (!query) return;
    const std::size_t end = std::min(blocks_.size(), looked_at_ + places);
    for (; looked_at_ < end && found_.size() < most; ++looked_at_) {
      sqlite3_bind_int64(query.get(), 1, blocks_[looked_at_]);
      if (sqlite3_step(query.get()) == SQLITE_ROW) in_text(unpress(sqlite::octets(query.get(), 0)), most);
      sqlite3_reset(query.get());
    }
  }

  void in_text(std::string_view text, std::size_t most) {
    for (std::string& line : lines_with(text, word_, most - found_.size())) found_.push_back(std::move(line));
  }

  const std::string& path_;
  std::string_view word_;
  std::size_t most_;
  sqlite::Database db_;
  std::vector<std::uint32_t> blocks_;  // the newest first
  std::size_t looked_at_ = 0;          // of them
  std::vector<std::string> found_;
};

// Several at once, since a disk answers so sooner; some places of each, which may turn out not to be wanted.
void begin_together(std::span<FileSearch> searches) {
  constexpr std::size_t kHelpers = 3;
  constexpr std::size_t kPlaces = 4;
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t i = next++; i < searches.size(); i = next++) searches[i].begin(kPlaces);
  };
  std::vector<std::future<void>> helpers;
  try {
    for (std::size_t i = 0; i < kHelpers && i + 1 < searches.size(); ++i) {
      helpers.push_back(std::async(std::launch::async, work));
    }
  } catch (const std::system_error&) {  // no more threads are to be had; it goes without
  }
  work();
  for (std::future<void>& helper : helpers) helper.get();
}

}  // namespace

std::vector<std::string> find_in_segments(const std::vector<std::string>& paths, std::string_view word,
                                          std::size_t most) {
  std::vector<FileSearch> searches;
  for (const std::string& path : paths) searches.emplace_back(path, word, most);
  std::vector<std::string> found;
  // Words that are in many records are mostly in enough of the newest file.
  for (std::size_t i = 0; i < searches.size() && found.size() < most; ++i) {
    if (i == 0) searches.front().begin(0);
    if (i == 1) begin_together(std::span(searches).subspan(1));
    for (std::string& line : searches[i].finish(most - found.size())) found.push_back(std::move(line));
  }
  return found;
}

}  // namespace replygate
