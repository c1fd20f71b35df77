#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "policy/base/time.h"
#include "policy/remote/log_event.h"

namespace replygate {

// The lines of an MTA's log that is still written, wherever it is. One thread.
class MailLogFeed {
 public:
  using Take = std::function<void(Instant time, const LogEvent& event)>;

  MailLogFeed() = default;
  MailLogFeed(const MailLogFeed&) = delete;
  MailLogFeed& operator=(const MailLogFeed&) = delete;
  virtual ~MailLogFeed() = default;

  // Hands on what came, some of it, each line once. True: there may be more at once. `now`: by which times without a
  // year are read.
  virtual bool read(Instant now, const Take& take) = 0;
  // It has found the position that it was to go on at.
  virtual bool goes_on() const = 0;
  // The position is no longer there: which lines may be missing. "" where it is, or as long as the log cannot be looked
  // at.
  virtual std::string loss() const = 0;
  // Behind what was handed on; "" before the log was seen.
  virtual std::string position() const = 0;
  // The same where it is known again for certain: "" at the begin of a file, which may have other lines by then.
  virtual std::string landmark() const { return position(); }
  // What is wrong with the log now, or was at the last reading; "" where all is well.
  virtual std::string trouble() const = 0;
};

// `log`: "journal" or a path. Goes on at a position, else begins with what comes from now on. `journal`: a folder of
// journal files; "" is this host's journal. On failure the reason, for people.
tl::expected<std::unique_ptr<MailLogFeed>, std::string> open_mail_log_feed(const std::string& log,
                                                                           const std::string& position,
                                                                           const std::string& journal = "");

}  // namespace replygate
