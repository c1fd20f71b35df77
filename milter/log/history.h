#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "milter/log/history_queue.h"
#include "milter/log/history_segment.h"
#include "milter/log/rendering.h"
#include "milter/log/troubles.h"

namespace replygate {

// The last records, in a folder of SQLite files, to be found by what people have in hand. Bounded: the oldest file goes
// as a whole when there are too many records or octets, or when its last one is too old. What somebody removes is made
// anew; where it cannot be written that is trouble of "history". hear() never waits. Any thread.
class History final : public RecordListener {
 public:
  // Makes the folder if it must. On failure the reason, for people.
  static tl::expected<std::unique_ptr<History>, std::string> open(const std::string& folder,
                                                                  const HistorySettings& settings, Troubles& troubles);
  ~History() override { close(); }

  void hear(Rendering& rendering) override;
  // A record as a JSON line with LF, to be found by words that it has in the keys of conf/LOG.md.
  void keep(Instant time, std::span<const std::string_view> words, std::string_view json);
  // What is left is written. Once.
  void close() { queue_.close(); }
  std::int64_t dropped() const { return queue_.dropped(); }
  std::int64_t written() const { return written_; }  // since it was opened

  // Records as JSON lines, newest first, `most` at most: of a reference, a session, a queue id, an address (sender,
  // user or recipient) or a client's IP address. Letter case is ignored.
  std::vector<std::string> find(std::string_view word, std::size_t most) const;

 private:
  History(std::string folder, const HistorySettings& settings, Troubles& troubles);

  bool deliver(std::vector<HistoryBlock>& blocks);
  tl::expected<void, std::string> write(std::vector<HistoryBlock>& blocks);
  void look_at_files();
  tl::expected<void, std::string> begin_segment(Instant now);
  tl::expected<bool, std::string> go_on_with(const std::string& path);
  void forget(Instant now);
  bool full(const HistorySegment& segment) const;
  std::vector<std::uint64_t> segments() const;  // ascending
  std::string path_of(std::uint64_t number) const;

  const std::string folder_;
  const HistorySettings settings_;
  Troubles& troubles_;
  const std::int64_t records_of_segment_;
  std::atomic<std::int64_t> written_{0};
  std::unique_ptr<HistorySegment> segment_;  // of the queue's thread
  HistoryQueue queue_;
};

}  // namespace replygate
