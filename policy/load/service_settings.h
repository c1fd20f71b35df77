#pragma once

#include "policy/load/context.h"
#include "policy/rules/policy.h"

namespace replygate {

// The sections about the daemon's own services: [control], [metrics] and [history]. Mistakes are reported.
class ServiceLoader {
 public:
  explicit ServiceLoader(Context& context) : context_(context) {}

  void control(const Node& table, Settings& settings);
  void metrics(const Node& table, Settings& settings);
  void history(const Node& table, HistorySettings& history);

 private:
  Context& context_;
};

}  // namespace replygate
