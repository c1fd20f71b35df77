// A reply states a reason where somebody gave one: the admin by a class, or the rule by its own facts. A bare code does
// not.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/support/world.h"

namespace replygate {
namespace {

using test::policy_from;
using test::Talk;
using test::World;

constexpr std::string_view kNeutral = "Refused by the policy of this site";

ReplySpec reply_in(std::string_view rule) {
  return std::get<ReplySpec>(
      policy_from(fmt::format("[site]\nlocal_domains = [\"ours.example\"]\n[[rule]]\nname = \"r\"\n{}\n", rule))
          ->rules()
          .front()
          .outcome);
}

std::string class_in(std::string_view rule) { return std::string(reply_in(rule).classification->slug); }

TEST(BareReply, IsNeutralForEveryCodeAtEveryStage) {
  for (const std::string_view stage : {"connect", "helo", "mail", "rcpt", "data", "header", "message"}) {
    for (int code = 400; code < 600; ++code) {
      for (const std::string_view form : {"{}", "{{ code = {} }}"}) {
        const std::string reply = fmt::format(fmt::runtime(form), code);
        const ReplySpec spec =
            reply_in(fmt::format("when = {{ client_ip = \"192.0.2.1\" }}\nat = \"{}\"\nreply = {}", stage, reply));
        EXPECT_EQ(spec.code, code);
        EXPECT_EQ(spec.classification->slug, "refused-by-policy") << code << " at " << stage;
        EXPECT_EQ(spec.enhanced.text(), fmt::format("{}.7.1", code / 100)) << code << " at " << stage;
        EXPECT_EQ(spec.text.source(), kNeutral) << code << " at " << stage;
      }
    }
  }
}

// Facts that select mail are no reason, and neither is a limit over a time.
TEST(BareReply, IsNeutralWhateverSelectsTheMail) {
  for (const std::string_view rule : {
           "when = { sender = \"a@b.example\" }",
           "when = { helo = \"x\" }",
           "when = { client_name = \"*.dynamic.example\" }",
           "when = { client_name = [\"unknown\", \"x.example\"] }",
           "when = { client_name = \"unknown\", helo = \"x\" }",
           "unless = { client_name = \"unknown\" }",
           "when = { recipient = \"a@b.example\" }",
           "when = { recipient_route = \"smtp\" }",
           "when = { recipients = \"<= 5\" }",
           "when = { mailbox_used = \"< 100%\" }\n[mailbox]\nquota_status = \"inet:1@127.0.0.1\"",
           "when = { null_sender = true }",
           "when = { external = false }",
           "when = { authenticated = true }",
           "when = { tls = true }",
           "when = { size = \"< 1 kB\" }",
           "when = { header.Subject = \"x\" }",
           "unless = { authenticated = true }",
           "unless = { recipient_domain = \"a.example\" }",
           "per = \"client_ip\"\nlimit = \"5 messages / 1h\"",
           "per = \"recipient\"\nlimit = \"5 recipients / day\"",
           "per = \"sender\"\nlimit = \"5 MB / 1h\"",
           "per = \"digest\"\nlimit = \"5 messages / 1h\"",
           "per = \"client_ip\"\nlimit = \"5 refusals / 1h\"",
           "per = \"client_ip\"\nlimit = [\"5 recipients / message\", \"5 messages / 1h\"]",
       }) {
    for (const int code : {421, 450, 451, 452, 501, 530, 550, 552, 553, 554, 571}) {
      EXPECT_EQ(class_in(fmt::format("reply = {}\n{}", code, rule)), "refused-by-policy") << rule << ' ' << code;
    }
  }
}

TEST(BareReply, SaysWhatTheRulesOwnFactsAre) {
  struct Row {
    std::string_view rule;
    std::string_view slug;
    std::string_view enhanced;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"when = { client_name = \"unknown\" }\nreply = 550", "reverse-dns-failed", "5.7.25"},
           {"when = { client_name = \"unknown\" }\nreply = 450", "reverse-dns-failed", "4.7.25"},
           {"when = { recipients = \"> 100\" }\nreply = 452", "too-many-recipients", "4.5.3"},
           {"when = { messages = \">= 10\" }\nreply = 421", "too-many-messages", "4.3.2"},
           {"when = { size = \"> 10 MB\" }\nreply = 552", "message-too-big", "5.3.4"},
           {"when = { declared_size = \"> 10 MB\" }\nreply = 554", "message-too-big", "5.3.4"},
           {"when = { external = true }\nunless = { authenticated = true }\nreply = 550", "relay-denied", "5.7.1"},
           {"unless = { recipient_domain = \"$local_domains\", authenticated = true }\nreply = 571", "relay-denied",
            "5.7.1"},
           {"when = { authenticated = false }\nreply = 530", "authentication-required", "5.7.0"},
           {"when = { tls = false }\nreply = 530", "starttls-required", "5.7.10"},
           {"limit = \"100 recipients / message\"\nreply = 452", "too-many-recipients", "4.5.3"},
           {"limit = \"10 messages / session\"\nreply = 451", "too-many-messages", "4.3.2"},
           {"per = \"sender\"\ngreylist = { delay = \"5m\" }\nreply = 451", "greylisted", "4.7.1"},
           {"when = { mailbox_used = \">= 100%\" }\nreply = 452\n[mailbox]\nquota_status = \"inet:1@127.0.0.1\"",
            "mailbox-full", "4.2.2"},
       }) {
    const ReplySpec spec = reply_in(row.rule);
    EXPECT_EQ(spec.classification->slug, row.slug) << row.rule;
    EXPECT_EQ(spec.enhanced.text(), row.enhanced) << row.rule;
  }
}

TEST(BareReply, ANameGoesBeforeTheFacts) {
  EXPECT_EQ(class_in("when = { client_name = \"unknown\" }\nreply = { class = \"access-denied\", code = 550 }"),
            "access-denied");
  const ReplySpec own = reply_in("when = { helo = \"x\" }\nreply = { code = 550, text = \"Not you\" }");
  EXPECT_EQ(own.classification->slug, "refused-by-policy");
  EXPECT_EQ(own.text.source(), "Not you");
}

constexpr std::string_view kEscalating =
    "[[rule]]\nname = \"r\"\nwhen = {{ recipient_local = \"no\" }}\nper = \"client_ip\"\nreply = {}\n"
    "escalate = [{{ after = \"1 refusals / 1h\", reply = {} }}, {{ after = \"2 refusals / 1h\", reply = 421 }}]\n";

// What a key that keeps coming hears: at once, behind the first step, behind the second.
std::vector<std::string> heard(std::string_view reply, std::string_view step) {
  World world(fmt::format(fmt::runtime(kEscalating), reply, step));
  Talk talk(world);
  talk.stranger();
  std::vector<std::string> answers;
  for (int i = 0; i < 3; ++i) answers.push_back(talk.rcpt("<no@x.example>"));
  return answers;
}

TEST(BareReply, OfAStepChangesCodeAndClassDigitAlone) {
  using Answers = std::vector<std::string>;
  EXPECT_EQ(heard("\"mailbox-busy\"", "550"),
            (Answers{"450 4.2.1 Mailbox busy, try again later", "550 5.2.1 Mailbox busy, try again later",
                     "421 4.2.1 Mailbox busy, try again later"}));
  EXPECT_EQ(heard("{ class = \"access-denied\", code = 450, text = \"Not today\" }", "554"),
            (Answers{"450 4.7.1 Not today", "554 5.7.1 Not today", "421 4.7.1 Not today"}));
  EXPECT_EQ(heard("450", "550"), (Answers{fmt::format("450 4.7.1 {}", kNeutral), fmt::format("550 5.7.1 {}", kNeutral),
                                          fmt::format("421 4.7.1 {}", kNeutral)}));
  EXPECT_EQ(heard("451", "{ code = 550, text = \"Never\" }")[1], "550 5.7.1 Never");
  EXPECT_EQ(heard("451", "\"unknown-user\"")[1], "550 5.1.1 No such user here");
}

TEST(BareReply, UsualAnswersAreNoWarning) {
  struct Row {
    std::string_view stage;
    std::vector<int> codes;
  };
  // RFC 5321 §4.3.2, and what MTAs answer by default.
  for (const Row& row : std::initializer_list<Row>{{"connect", {421, 450, 550, 554}},
                                                   {"mail", {421, 450, 451, 452, 455, 503, 550, 552, 553, 554, 555}},
                                                   {"rcpt", {450, 451, 452, 455, 503, 550, 551, 552, 553, 554, 555}},
                                                   {"data", {450, 451, 452, 503, 550, 552, 554}},
                                                   {"header", {450, 451, 452, 550, 552, 554}},
                                                   {"message", {450, 451, 452, 550, 552, 554}}}) {
    for (const int code : row.codes) {
      const Loaded loaded = test::load_text(fmt::format(
          "version = 1\n[[rule]]\nname = \"r\"\nwhen = {{ client_ip = \"192.0.2.1\" }}\nat = \"{}\"\nreply = {}\n",
          row.stage, code));
      EXPECT_TRUE(loaded.diagnostics.empty()) << code << " at " << row.stage;
    }
  }
}

}  // namespace
}  // namespace replygate
