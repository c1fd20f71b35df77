#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tl/expected.hpp>

#include "milter/clock.h"
#include "milter/log/troubles.h"
#include "milter/serve/note_carrier.h"

namespace replygate {

// Sends the report of [report] when it is due. Each begins where the last one ended, across restarts too; the first one
// comes when it is due for the first time. What fails is tried again, and is among the troubles meanwhile. On a thread
// of its own, with little of the processor.
class ReportMailer {
 public:
  // Writes the report of what happened since then; calls `go_on` now and then, which may throw. On failure the reason,
  // for people.
  using Write =
      std::function<tl::expected<std::string, std::string>(Instant since, const std::function<void()>& go_on)>;

  // `mark`: the file that says up to when was reported; "": nothing is kept. `clock` and `troubles` outlive it.
  ReportMailer(ReportSettings settings, std::string mark, Write write, std::unique_ptr<NoteCarrier> carrier,
               const Clock& clock, Troubles& troubles);
  ~ReportMailer() { stop(); }
  ReportMailer(const ReportMailer&) = delete;
  ReportMailer& operator=(const ReportMailer&) = delete;

  void start();
  void stop();  // ends a reading under way

  // One look whether a report is due; sends it. For tests, too: not beside start().
  void look();

 private:
  void run();
  Instant now() const { return clock_.now() + clock_.wall_ahead(); }
  tl::expected<void, std::string> send(Instant until);
  void keep_mark();

  const ReportSettings settings_;
  const std::string mark_;
  const Write write_;
  const std::unique_ptr<NoteCarrier> carrier_;
  const Clock& clock_;
  Troubles& troubles_;
  Instant told_;     // up to when was reported
  Instant retry_{};  // not before
  bool unmarked_ = false;

  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::thread thread_;
};

}  // namespace replygate
