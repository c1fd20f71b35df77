#include "milter/log/history_segment.h"

namespace replygate {

tl::expected<void, std::string> HistorySegment::done(bool good) const {
  if (good) return {};
  return tl::unexpected(why_);
}

bool HistorySegment::write_tail(std::string_view lines, const std::vector<std::uint32_t>& hashes) {
  sqlite::bind_octets(add_tail_.get(), 1, lines);
  sqlite::bind_octets(add_tail_.get(), 2,
                      {reinterpret_cast<const char*>(hashes.data()), hashes.size() * sizeof(std::uint32_t)});
  tail_written_ = true;
  return sqlite::run(add_tail_.get());
}

// What is behind the last block becomes one.
bool HistorySegment::write_block() {
  const std::string_view pressed = press_.press(tail_);
  sqlite3_bind_int64(add_block_.get(), 1, ++last_block_);
  sqlite::bind_octets(add_block_.get(), 2, pressed);
  if (!sqlite::run(add_block_.get()) || (tail_written_ && !execute("DELETE FROM tail"))) return false;
  for (const std::uint32_t hash : tail_hashes_) places_.push_back(word_place(hash, last_block_));
  tail_.clear();
  tail_hashes_.clear();
  tail_written_ = false;
  return true;
}

bool HistorySegment::take(HistoryBlock& block) {
  std::vector<std::uint32_t> hashes;
  append_hashes(hashes, block.words, key_);
  tail_hashes_.insert(tail_hashes_.end(), hashes.begin(), hashes.end());
  if (records_ == 0) first_ = block.last;
  records_ += block.records;
  if (tail_.size() + block.text.size() < HistoryBlock::kFull) {
    tail_ += block.text;
    return write_tail(block.text, hashes);
  }
  if (tail_.empty()) {
    tail_.swap(block.text);
  } else {
    tail_ += block.text;
  }
  return write_block();
}

bool HistorySegment::write_index() {
  if (places_.empty()) return true;
  const bool added = index_.add(places_);
  places_.clear();
  return added;
}

bool HistorySegment::write_state() {
  sqlite3_bind_int64(set_state_.get(), 1, records_);
  sqlite3_bind_int64(set_state_.get(), 2, first_.time_since_epoch().count());
  if (!sqlite::run(set_state_.get())) return false;
  constexpr std::int64_t kPage = 4096;
  const bool counted = sqlite3_step(pages_.get()) == SQLITE_ROW;
  octets_ = counted ? sqlite3_column_int64(pages_.get(), 0) * kPage : octets_;
  sqlite3_reset(pages_.get());
  return counted;
}

tl::expected<void, std::string> HistorySegment::add(std::vector<HistoryBlock>& blocks) {
  return done(transaction([&] {
    for (HistoryBlock& block : blocks) {
      if (!take(block)) return false;
    }
    return write_index() && write_state();
  }));
}

tl::expected<void, std::string> HistorySegment::tidy() {
  bool good = true;
  while (good && index_.must_merge()) good = transaction([this] { return index_.merge(); });
  return done(good);
}

tl::expected<void, std::string> HistorySegment::finish() {
  const auto whole = [this] { return (tail_.empty() || write_block()) && write_index() && index_.merge_all(); };
  if (!transaction(whole)) return done(false);
  // Who reads it needs no files beside it then. Not while somebody does read.
  static_cast<void>(execute("PRAGMA journal_mode = DELETE"));
  return {};
}

}  // namespace replygate
