#pragma once

#include "milter/log/backlog.h"
#include "milter/log/sinks.h"

namespace replygate {

// syslog, facility mail: a line a refusal, beside the MTA's own lines. What is let through is the MTA's to log.
class Syslog final : public LogPlace {
 public:
  Syslog();
  ~Syslog() override { close(); }
  void hear(Rendering& rendering) override;
  const std::string& name() const override { return backlog_.name(); }
  std::int64_t dropped() const override { return backlog_.dropped(); }
  void close() override;

 private:
  static bool deliver(const Backlog::Entries& entries);

  Backlog backlog_{"syslog", deliver};
};

}  // namespace replygate
