#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/time.h"
#include "policy/remote/log_event.h"

namespace replygate {

// What a log tells of one message that a client or a user of this host has handed in.
struct LoggedMail {
  Instant time;  // when it came
  LogMta mta = LogMta::none;
  std::string id;
  std::string client_name;
  std::string client_ip;
  std::string user;
  std::string mechanism;
  std::string sender;
  bool local = false;  // of the sendmail command
  std::int64_t size = 0;
  std::int64_t expected = 0;            // recipients after expansion; 0: the log does not tell
  std::vector<std::string> recipients;  // as they were addressed, each once
};

// Puts the lines of a log together: which attempt belongs to which message, also through a content filter, an alias or
// a second queue. An id means a message of the host that wrote the line, until it is removed. Memory is bounded: of
// more than 100,000 messages under way the oldest are forgotten. One thread.
class MailTrail {
 public:
  class Listener {
   public:
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    virtual ~Listener() = default;
    // In the order in which messages came, each once; an hour late at the most.
    virtual void mail(const LoggedMail& mail) = 0;
    // To deliver to one recipient; null: the log does not tell from whom, or it is word to the sender.
    // `handed_on`: it has gone into another queue of ours, whose attempts are to come.
    virtual void attempt(Instant now, const LoggedMail* mail, const LogEvent& event, std::string_view recipient,
                         bool handed_on) = 0;
    // Likewise, told beside it, of a message that the log does not have the begin of: an attempt, or that it was too
    // old, without a recipient. Never of word to senders.
    virtual void unowned(Instant, const LogEvent&, std::string_view /*recipient*/, bool /*handed_on*/) {}
    virtual void refusal(Instant now, const LogEvent& event) = 0;
    // It was too old, or is cancelled: whoever it was not delivered to will not get it. Null as above.
    // Under `id`: what was deferred under another one is still under way.
    virtual void expired(Instant now, const LoggedMail* mail, std::string_view id) = 0;
    // Whether the listener knows it as a message of its own. What nobody knows may be the copy of another one that a
    // content filter has handed back: its attempts are told once that is clear, an hour late at the most.
    virtual bool is_known(const LoggedMail&) { return false; }
    // A copy that was handed on, as just told, has left its queue before: its id may be used again.
    virtual void gone(std::string_view /*id*/) {}
    // Nothing more will be told of it: it and all its copies are gone from the queues, or were forgotten.
    virtual void over(const LoggedMail&) {}
  };

  struct Figures {
    std::int64_t mails = 0;      // that were told
    std::int64_t attempts = 0;   // to one recipient each
    std::int64_t orphans = 0;    // of them: of messages whose begin the log does not have
    std::int64_t notices = 0;    // of them: of word to senders
    std::int64_t forgotten = 0;  // messages
  };

  explicit MailTrail(Listener& listener) : listener_(listener) {}

  void take(Instant time, const LogEvent& event);
  // The log is at its end.
  void finish();
  const Figures& figures() const { return figures_; }
  // Whether a host that has not written this line has a message with its id.
  bool is_known_elsewhere(const LogEvent& event) const;

 private:
  struct Message;
  using Known = std::shared_ptr<Message>;
  struct Login {
    std::string client_ip;
    std::string user;
    std::string mechanism;
  };

  static const Known& root_of(const Known& message);
  std::string key_of(std::string_view id) const { return host_ + std::string(id); }
  Known find(std::string_view id) const;
  Known begin(std::string_view id, const LogEvent& event);
  Known begun_just_now(std::string_view id) const;
  void take_client(const LogEvent& event);
  void take_sender(const LogEvent& event);
  void take_login(const LogEvent& event);
  bool may_be_copy(const Message& message) const;
  void tell(Instant time, const Known& message, const LogEvent& event, std::string_view recipient, bool handed_on);
  void tell_held(const Known& message);
  void note_recipient(Message& message, const LogEvent& event, std::string_view recipient) const;
  void take_notice(const LogEvent& event);
  void note_host(std::string_view host);
  void take_end(const LogEvent& event);
  void take_removal(std::string_view id);
  void take_refusal(const LogEvent& event);
  void take_attempt(const LogEvent& event);
  void take_attempt(const Known& message, const LogEvent& event, std::string_view recipient);
  bool take_next(const Known& message, const LogEvent& event);
  void tell_unowned(const Known& message, const LogEvent& event, std::string_view recipient, bool handed_on);
  bool link(const Known& from, const Known& to);
  void tell_ready();
  bool tell_first();
  void forget_old();
  void retire(const Known& message);
  void close(Message& message);

  Listener& listener_;
  Instant now_{};
  std::string host_;                                        // that wrote the line, as a letter of `hosts_`
  boost::unordered_flat_map<std::string, char> hosts_;      // by name
  boost::unordered_flat_map<std::string, Known> messages_;  // by host and id
  std::deque<Known> begun_;                                 // all of them, in the order of their begin
  std::deque<Known> waiting_;                               // to be told
  boost::unordered_flat_map<std::string, Login> logins_;    // by host and process
  boost::unordered_flat_set<std::string> filters_;          // that have handed messages back
  std::size_t held_ = 0;                                    // attempts that are not told yet
  Figures figures_;
};

}  // namespace replygate
