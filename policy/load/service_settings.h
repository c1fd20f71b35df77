#pragma once

#include "policy/load/context.h"
#include "policy/rules/policy.h"

namespace replygate {

// The sections about the daemon's own services: [control], [metrics], [history], [notify]. Mistakes are reported.
class ServiceLoader {
 public:
  explicit ServiceLoader(Context& context) : context_(context) {}

  void control(const Node& table, Settings& settings);
  void metrics(const Node& table, Settings& settings);
  void history(const Node& table, HistorySettings& history);
  void notify(const Node& table, NotifySettings& notify);

 private:
  void address(const Node& node, std::string_view key, std::string& target);
  void addresses(const Node& table, NotifySettings& notify);
  void events(const Node& node, NotifySettings& notify);

  Context& context_;
};

}  // namespace replygate
