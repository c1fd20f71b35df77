#pragma once

#include "policy/load/context.h"
#include "policy/rules/policy.h"

namespace replygate {

// The sections about the daemon's own services: [control], [metrics], [history] and [outcomes]. Mistakes are reported.
class ServiceLoader {
 public:
  explicit ServiceLoader(Context& context) : context_(context) {}

  void control(const Node& table, Settings& settings);
  void metrics(const Node& table, Settings& settings);
  void history(const Node& table, HistorySettings& history);
  void outcomes(const Node& table, OutcomeSettings& outcomes);

 private:
  std::string absolute(const Entry& entry, std::string_view what, std::string_view example);

  Context& context_;
};

}  // namespace replygate
