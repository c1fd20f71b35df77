#include "milter/log/history_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "milter/guarded.h"
#include "milter/log/history_words.h"
#include "milter/log/say.h"
#include "milter/thread_name.h"

namespace replygate {
namespace {

constexpr std::size_t kMostWaiting = std::size_t{16} << 20U;  // octets
// The first record waits so long for others, and longer while they come all the time.
constexpr std::chrono::milliseconds kShortWait{5};
constexpr std::chrono::milliseconds kBetweenDeliveries{50};
constexpr std::size_t kManyBlocks = 16;  // are not waited behind

std::int64_t records_in(const std::vector<HistoryBlock>& blocks) {
  std::int64_t records = 0;
  for (const HistoryBlock& block : blocks) records += block.records;
  return records;
}

}  // namespace

HistoryQueue::HistoryQueue(Deliver deliver) : deliver_(std::move(deliver)), thread_([this] { run(); }) {}

void HistoryQueue::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void HistoryQueue::add(Instant time, std::span<const std::string_view> words, std::string_view line) {
  std::unique_lock lock(mutex_);
  if (closing_ || octets_ + line.size() > kMostWaiting) {
    ++dropped_;
    return;
  }
  const bool first = filling_.records == 0;
  octets_ += line.size();
  filling_.text += line;
  for (const std::string_view word : words) append_word(filling_.words, word);
  filling_.last = time;
  ++filling_.records;
  if (filling_.text.size() >= HistoryBlock::kFull) {
    full_.push_back(take_filling());
    filling_.text.reserve(HistoryBlock::kFull + HistoryBlock::kFull / 8);
    filling_.words.reserve(HistoryBlock::kFull / 8);
  }
  const bool many = full_.size() >= kManyBlocks;
  lock.unlock();
  if (first || many) changed_.notify_one();
}

HistoryBlock HistoryQueue::take_filling() {
  HistoryBlock block;
  block.text.swap(filling_.text);
  block.words.swap(filling_.words);
  block.records = std::exchange(filling_.records, 0);
  block.last = filling_.last;
  return block;
}

std::int64_t HistoryQueue::dropped() const {
  const std::lock_guard lock(mutex_);
  return dropped_;
}

// The blocks that are full; if there is none for some time, the one that is not.
std::vector<HistoryBlock> HistoryQueue::wait(std::unique_lock<std::mutex>& lock) {
  changed_.wait(lock, [this] { return closing_ || filling_.records > 0 || !full_.empty(); });
  const auto until = std::max(Clock::now() + kShortWait, delivered_ + kBetweenDeliveries);
  changed_.wait_until(lock, until, [this] { return closing_ || full_.size() >= kManyBlocks; });
  std::vector<HistoryBlock> blocks = std::exchange(full_, {});
  if (filling_.records > 0 && (closing_ || blocks.empty())) blocks.push_back(take_filling());
  for (const HistoryBlock& block : blocks) octets_ -= std::min(octets_, block.text.size());
  return blocks;
}

void HistoryQueue::run() {
  name_thread("history");
  std::unique_lock lock(mutex_);
  while (!closing_ || filling_.records > 0 || !full_.empty()) {
    std::vector<HistoryBlock> blocks = wait(lock);
    const std::int64_t records = records_in(blocks);
    const std::int64_t more = dropped_ - std::exchange(reported_, dropped_);
    lock.unlock();
    if (more > 0) say(fmt::format("history is too slow: {} records were dropped", more));
    bool delivered = blocks.empty();
    if (!delivered) guarded("history", [&] { delivered = deliver_(blocks); });
    delivered_ = Clock::now();
    lock.lock();
    if (delivered) continue;
    dropped_ += records;
    reported_ += records;
  }
}

}  // namespace replygate
