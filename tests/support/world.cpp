#include "tests/support/world.h"

#include <gtest/gtest.h>

namespace replygate::test {
namespace {

// The answer of one event; the memory store answers before the event returns.
class Heard {
 public:
  Session::Done done() {
    return [this](Answer answer) {
      ++times_;
      text_ = answer.refusal ? answer.refusal->one_line() : "";
      disposition_ = std::move(answer.disposition);
    };
  }
  std::string text() const {
    EXPECT_EQ(times_, 1);
    return text_;
  }
  const Disposition& disposition() const { return disposition_; }

 private:
  int times_ = 0;
  std::string text_;
  Disposition disposition_;
};

}  // namespace

Loaded load_text(std::string_view text) {
  return load_policy("policy.toml", [&](const DataSource& source, std::string& why) -> std::optional<std::string> {
    if (source.path == "policy.toml") return std::string(text);
    why = "No such file or directory";
    return std::nullopt;
  });
}

std::shared_ptr<const Policy> policy_from(std::string_view text) {
  const Loaded loaded = load_text("version = 1\n" + std::string(text));
  for (const Diagnostic& d : loaded.diagnostics) {
    if (d.level == Diagnostic::Level::error) ADD_FAILURE() << render(d, loaded.sources);
  }
  return loaded.policy;
}

World::World(std::string_view policy_text) : policy(policy_from(policy_text)) {}

std::unique_ptr<Session> World::session(const Session::Door& door, Mailboxes* mailboxes) {
  return std::make_unique<Session>(policy, Session::Services{gate, records, references, mailboxes}, door);
}

Talk::Talk(World& world, const Session::Door& door, Mailboxes* mailboxes)
    : world_(world), session_(world.session(door, mailboxes)) {}

std::string Talk::connect(std::string_view ip, std::string name) {
  Heard heard;
  session_->connect({.ip = IpAddress::parse(ip), .name = std::move(name), .port = 40000, .listener = "smtp"},
                    world_.now, heard.done());
  return heard.text();
}

std::string Talk::local_submission() {
  Heard heard;
  session_->connect({.ip = IpAddress::parse("127.0.0.1"), .name = "localhost", .local_submission = true}, world_.now,
                    heard.done());
  return heard.text();
}

std::string Talk::helo(std::string name) {
  Heard heard;
  session_->helo(std::move(name), world_.now, heard.done());
  return heard.text();
}

std::string Talk::mail(std::string sender, std::string user, std::vector<std::string> parameters, Tls tls) {
  Heard heard;
  session_->mail({.sender = std::move(sender),
                  .parameters = std::move(parameters),
                  .user = std::move(user),
                  .mechanism = "PLAIN",
                  .tls = std::move(tls)},
                 world_.now, heard.done());
  return heard.text();
}

std::string Talk::rcpt(std::string recipient, std::optional<std::string> route, std::string rewritten) {
  Heard heard;
  session_->rcpt({.recipient = std::move(recipient), .rewritten = std::move(rewritten), .route = std::move(route)},
                 world_.now, heard.done());
  return heard.text();
}

std::string Talk::mta_refused(std::string recipient, std::string status, std::string text) {
  Heard heard;
  session_->rcpt({.recipient = std::move(recipient),
                  .mta_refused = true,
                  .mta_status = std::move(status),
                  .mta_text = std::move(text)},
                 world_.now, heard.done());
  return heard.text();
}

std::string Talk::data() {
  Heard heard;
  session_->data(world_.now, heard.done());
  return heard.text();
}

std::string Talk::end_of_headers() {
  Heard heard;
  session_->end_of_headers(world_.now, heard.done());
  return heard.text();
}

std::string Talk::end() {
  Heard heard;
  session_->end_of_message(world_.now, heard.done());
  disposition_ = heard.disposition();
  if (disposition_.discard) return "discard";
  return disposition_.hold.empty() ? heard.text() : "hold: " + disposition_.hold;
}

void Talk::abort() { session_->abort(world_.now); }

Talk& Talk::stranger(std::string sender) {
  EXPECT_EQ(connect("203.0.113.5"), "");
  EXPECT_EQ(helo(), "");
  EXPECT_EQ(mail(std::move(sender)), "");
  return *this;
}

}  // namespace replygate::test
