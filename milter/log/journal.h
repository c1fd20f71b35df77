#pragma once

#include <cstdint>

#include "milter/log/backlog.h"
#include "milter/log/sinks.h"

namespace replygate {

// systemd's journal, by its native protocol: an entry a recipient, with fields that journalctl can select by.
class Journal final : public LogPlace {
 public:
  // `socket`: where the journal listens.
  explicit Journal(std::string socket = "/run/systemd/journal/socket") : socket_(std::move(socket)) {}
  void hear(Rendering& rendering) override;
  const std::string& name() const override { return backlog_.name(); }
  std::int64_t dropped() const override { return backlog_.dropped(); }
  std::string trouble() const override { return missing_socket(name(), socket_); }
  void close() override { backlog_.close(); }

  // Fields "NAME=value", each ended by LF.
  static std::string entry(Rendering& rendering, const JudgedRecipient* judged);

 private:
  bool deliver(const Backlog::Entries& entries) const;

  const std::string socket_;
  Backlog backlog_{"journal", [this](const Backlog::Entries& entries) { return deliver(entries); }};
};

}  // namespace replygate
