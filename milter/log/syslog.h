#pragma once

#include <cstdint>

#include "milter/log/backlog.h"
#include "milter/log/sinks.h"

namespace replygate {

// syslog, facility mail: a line a refusal, beside the MTA's own lines. What is let through is the MTA's to log.
class Syslog final : public LogPlace {
 public:
  explicit Syslog(std::string socket = "/dev/log");
  ~Syslog() override { close(); }
  void hear(Rendering& rendering) override;
  const std::string& name() const override { return backlog_.name(); }
  std::int64_t dropped() const override { return backlog_.dropped(); }
  std::string trouble() const override { return missing_socket(name(), socket_); }
  void close() override;

 private:
  bool deliver(const Backlog::Entries& entries) const;

  const std::string socket_;
  Backlog backlog_{"syslog", [this](const Backlog::Entries& entries) { return deliver(entries); }};
};

}  // namespace replygate
