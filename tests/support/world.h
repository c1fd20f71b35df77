#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/count/store_memory.h"
#include "policy/decide/session.h"
#include "policy/load/load.h"

namespace replygate::test {

// Compiles a policy from its text; the test fails where it is in error. `version = 1` is put in front.
std::shared_ptr<const Policy> policy_from(std::string_view text);
// What the loader says of a text; nothing is put in front.
Loaded load_text(std::string_view text);

// Keeps records as JSON lines.
class Records final : public RecordSink {
 public:
  void write(Record record) override {
    json.push_back(to_json(record));
    logfmt.push_back(to_logfmt(record));
  }
  std::vector<std::string> json;
  std::vector<std::string> logfmt;
};

// A policy, a store, and a clock that stands still until it is moved.
class World {
 public:
  explicit World(std::string_view policy_text);

  std::unique_ptr<Session> session(const Session::Door& door = {}, Mailboxes* mailboxes = nullptr);
  void pass(std::chrono::microseconds time) { now += time; }

  Instant now{std::chrono::hours(490000)};
  std::shared_ptr<const Policy> policy;
  MemoryStore store;
  Gate gate{store};
  References references{1};
  Records records;
};

// Speaks like an MTA. Each call gives the refusal as "571 5.7.1 text", or "" for go on.
class Talk {
 public:
  explicit Talk(World& world, const Session::Door& door = {}, Mailboxes* mailboxes = nullptr);

  std::string connect(std::string_view ip, std::string name = "client.example.net");
  std::string local_submission();
  std::string helo(std::string name = "client.example.net");
  std::string mail(std::string sender, std::string user = "", std::vector<std::string> parameters = {}, Tls tls = {});
  std::string rcpt(std::string recipient, std::optional<std::string> route = std::nullopt, std::string rewritten = "");
  std::string mta_refused(std::string recipient, std::string status, std::string text);
  std::string data();
  void header(std::string_view name, std::string_view value) {
    session_->header(name, value, static_cast<std::int64_t>(name.size() + value.size() + 4));
  }
  std::string end_of_headers();
  void body(std::string_view octets) { session_->body(octets); }
  void content(std::int64_t octets) { body(std::string(static_cast<std::size_t>(octets), 'x')); }
  std::string end();  // "discard", "hold: reason" where the message is let through so
  void abort();

  // What was said of the last message that was let through.
  const Disposition& disposition() const { return disposition_; }

  // connect, helo and mail from a stranger.
  Talk& stranger(std::string sender = "<someone@elsewhere.example>");

 private:
  World& world_;
  Disposition disposition_;
  std::unique_ptr<Session> session_;
};

}  // namespace replygate::test
