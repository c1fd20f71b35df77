#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "policy/load/context.h"
#include "policy/rules/settings.h"

namespace replygate {

// The section [notify]: whom to tell, of what, and in which words. Mistakes are reported. Used once.
class NotifyLoader {
 public:
  NotifyLoader(Context& context, NotifySettings& settings) : context_(context), settings_(settings) {}

  void load(const Node& table);
  // Whether there is anybody for whom what it says is of use; `reports` are sent too.
  void expect_somebody(const Node& table, bool reports);
  // Events that are read from the log of [outcomes], which there is not.
  void warn_without_outcomes(const Node& table);

 private:
  using Event = NotifySettings::Event;

  void server(const Node& table);
  void webhook(const Node& table);
  void addresses(const Node& table);
  void recipient(const Node& node);
  void user_recipient(const Node& node);
  template <std::size_t N>
  void events(const Entry& entry, const std::pair<std::string_view, Event> (&choices)[N], std::vector<Event>& events);
  void users(const Node& table);
  void user_text(const Entry& entry, Event event, UserText& text);
  std::optional<ReplyTemplate> text_of(const Node& node, Event event);

  Context& context_;
  NotifySettings& settings_;
};

}  // namespace replygate
