#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "policy/decide/own_connections.h"
#include "policy/rules/policy.h"

namespace replygate {

// One thing that an admin should know of.
struct Note {
  std::string event;
  std::string subject;               // one line
  std::string text;                  // lines of it
  std::vector<std::string> to = {};  // mail to these; none: whom [notify] names
};

// Brings notes to people. carry() takes its patience at most; stop(), from any thread, ends it at once. One thread.
class NoteCarrier {
 public:
  NoteCarrier() = default;
  NoteCarrier(const NoteCarrier&) = delete;
  NoteCarrier& operator=(const NoteCarrier&) = delete;
  virtual ~NoteCarrier() = default;

  virtual bool is_for(const Note& note) const = 0;                      // whether it brings such notes at all
  virtual tl::expected<void, std::string> carry(const Note& note) = 0;  // on failure the reason, for people
  virtual void stop() = 0;
};

// What notes say they come from.
std::string host_name();

// `own` hears of its connections while they last, and outlives it.
std::unique_ptr<NoteCarrier> mail_carrier(const NotifySettings& settings, OwnConnections& own,
                                          std::chrono::milliseconds patience);
std::unique_ptr<NoteCarrier> webhook_carrier(const std::string& url, std::chrono::milliseconds patience);

// By mail and to a web server, as [notify] says; its sender is given.
std::vector<std::unique_ptr<NoteCarrier>> note_carriers(const NotifySettings& settings, OwnConnections& own,
                                                        std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace replygate
