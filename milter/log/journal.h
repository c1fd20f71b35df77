#pragma once

#include "milter/log/backlog.h"
#include "milter/log/sinks.h"

namespace replygate {

// systemd's journal, by its native protocol: an entry a recipient, with fields that journalctl can select by.
class Journal final : public LogPlace {
 public:
  void hear(Rendering& rendering) override;
  const std::string& name() const override { return backlog_.name(); }
  std::int64_t dropped() const override { return backlog_.dropped(); }
  void close() override { backlog_.close(); }

  // Fields "NAME=value", each ended by LF.
  static std::string entry(Rendering& rendering, const JudgedRecipient* judged);

 private:
  static bool deliver(const Backlog::Entries& entries);

  Backlog backlog_{"journal", deliver};
};

}  // namespace replygate
