#include "milter/serve/notifier.h"

#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <future>

#include "milter/serve/note_user.h"
#include "tests/support/eventually.h"
#include "tests/support/office.h"

namespace replygate {
namespace {

using Event = NotifySettings::Event;
using test::Office;
using test::soon;

constexpr std::string_view kPolicy =
    "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = \"4 recipients / 1h\"\nwarn_at = \"50%\"\nreply = "
    "\"quota-exceeded\"\n";

// Keeps notes, or loses the first so many.
class Box final : public NoteCarrier {
 public:
  explicit Box(std::promise<void>& full, std::size_t wanted) : full_(full), wanted_(wanted) {}
  tl::expected<void, std::string> carry(const Note& note) override {
    notes.push_back(note);
    if (notes.size() == wanted_) full_.set_value();
    return {};
  }
  bool is_for(const Note&) const override { return true; }
  void stop() override {}
  std::vector<Note> notes;

 private:
  std::promise<void>& full_;
  std::size_t wanted_;
};

TEST(Notifier, TellsOfWarningsAndFirstRefusalsOnce) {
  Office office(kPolicy);
  std::promise<void> full;
  std::vector<std::unique_ptr<NoteCarrier>> carriers;
  carriers.push_back(std::make_unique<Box>(full, 2));
  Box& box = static_cast<Box&>(*carriers.front());
  Notifier notifier(NotifySettings{}, std::move(carriers), office.health);
  office.recorder.add(notifier);
  notifier.start();
  for (int i = 0; i < 3; ++i) office.send("a@b.example", {"1@example.org", "2@example.org", "3@example.org"});
  soon(full);
  notifier.stop();
  ASSERT_EQ(box.notes.size(), 2U);
  EXPECT_EQ(box.notes[0].event, "warning");
  EXPECT_EQ(box.notes[0].subject, "replygate: a@b.example is near its limit of quota");
  EXPECT_EQ(box.notes[1].event, "first-refusal");
  const std::string& text = box.notes[1].text;
  for (const char* part : {"Host:   ", "Time:   ", "Limit:  quota: ", "Reply:  452 4.7.1", "\n  replygate why ",
                           "\n  replygate quota raise a@b.example --times 2"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " in " << text;
  }
  EXPECT_EQ(notifier.figures().sent, 2);
}

constexpr std::string_view kUserPolicy =
    "[[rule]]\nname = \"quota\"\nper = \"user\"\nlimit = \"4 recipients / 1h\"\nwarn_at = \"50%\"\nreply = "
    "\"quota-exceeded\"\n";

ReplyTemplate mail_text(std::string_view text) {
  return std::get<ReplyTemplate>(ReplyTemplate::parse(text, TextFor::mail));
}

// What users are told while `login` sends to three recipients, three times.
std::vector<Note> told_to_users(std::string_view policy, const NotifySettings& settings, const std::string& login,
                                std::size_t expected) {
  Office office(policy);
  std::promise<void> full;
  std::vector<std::unique_ptr<NoteCarrier>> carriers;
  carriers.push_back(std::make_unique<Box>(full, expected));
  const Box& box = static_cast<Box&>(*carriers.front());
  Notifier notifier(settings, std::move(carriers), office.health);
  office.recorder.add(notifier);
  notifier.start();
  for (int i = 0; i < 3; ++i) office.send("a@b.example", {"1@example.org", "2@example.org", "3@example.org"}, login);
  if (expected > 0) soon(full);
  notifier.stop();
  return box.notes;
}

NotifySettings users_alone(std::vector<std::string> to) {
  return {.on = {}, .users = {.to = std::move(to), .warning = {}, .refusal = {}}};
}

TEST(Notifier, TellsTheUserHimselfOnce) {
  const auto notes = told_to_users(kUserPolicy, users_alone({"{user}"}), "alice@example.org", 2);
  ASSERT_EQ(notes.size(), 2U);
  EXPECT_EQ(notes[0].event, "warning");
  EXPECT_EQ(notes[0].to, std::vector<std::string>{"alice@example.org"});
  EXPECT_EQ(notes[0].subject, "You are near your sending limit");
  EXPECT_TRUE(notes[0].text.starts_with("You may send 4 recipients / 1h. So far you have sent 2.\n")) << notes[0].text;
  EXPECT_EQ(notes[1].event, "first-refusal");
  EXPECT_NE(notes[1].text.find("Try again in 1h."), std::string::npos) << notes[1].text;
}

TEST(Notifier, TellsTheUserInTheWordsOfThePolicy) {
  NotifySettings settings = users_alone({"{user}"});
  settings.users.refusal = {.subject = mail_text("Limit f\u00fcr {user} erreicht"),
                            .text = mail_text("{rule}: {limit}\n\n{used}, {recipient}\n")};
  settings.users.on = {Event::first_refusal};
  const auto notes = told_to_users(kUserPolicy, settings, "alice@example.org", 1);
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].subject, "Limit f\u00fcr alice@example.org erreicht");
  EXPECT_EQ(notes[0].text, "quota: 4 recipients / 1h\n\n4, 2@example.org\n");
}

TEST(Notifier, WhatIsOnlyObservedIsNotToldToUsers) {
  const std::string observed = std::string(kUserPolicy) + "mode = \"observe\"\n";
  EXPECT_TRUE(told_to_users(observed, users_alone({"{user}"}), "alice@example.org", 0).empty());
}

TEST(Notifier, ALoginIsAnAddressOrNobody) {
  const std::vector<std::string> both = {"{user}", "{user}@example.org"};
  using Addresses = std::vector<std::string>;
  EXPECT_EQ(user_addresses(both, "alice"), Addresses{"alice@example.org"});
  EXPECT_EQ(user_addresses(both, "alice@example.net"), Addresses{"alice@example.net"});
  for (const char* login :
       {"", "a b", "a>\r\nDATA", "a,b@example.org", "a@b@c", "<a@example.org>", "a\tb", "\"a b\""}) {
    EXPECT_EQ(user_addresses(both, login), Addresses{}) << login;
  }
}

TEST(Notifier, TellsOfMailOnHoldOnceASender) {
  Office office(
      "[[rule]]\nname = \"stolen\"\nper = \"user\"\nlimit = \"2 recipients / 1h\"\nhold = \"too much at once\"\n");
  std::promise<void> full;
  std::vector<std::unique_ptr<NoteCarrier>> carriers;
  carriers.push_back(std::make_unique<Box>(full, 2));
  const Box& box = static_cast<Box&>(*carriers.front());
  Notifier notifier(NotifySettings{.on = {Event::held}, .users = {}}, std::move(carriers), office.health);
  office.recorder.add(notifier);
  notifier.start();
  for (int i = 0; i < 4; ++i) office.send("a@b.example", {"1@example.org"}, "alice@example.org");
  for (int i = 0; i < 3; ++i) office.send("a@b.example", {"1@example.org"}, "bob@example.org");
  soon(full);
  notifier.stop();
  ASSERT_EQ(box.notes.size(), 2U);
  EXPECT_EQ(box.notes[0].event, "held");
  EXPECT_EQ(box.notes[0].subject, "replygate: mail of alice@example.org is on hold, by stolen");
  for (const char* part :
       {"Reason: too much at once\n", "To:     1 recipient\n", "\n  replygate why ", "\n  postsuper -H "}) {
    EXPECT_NE(box.notes[0].text.find(part), std::string::npos) << part << " in " << box.notes[0].text;
  }
  EXPECT_EQ(box.notes[1].subject, "replygate: mail of bob@example.org is on hold, by stolen");
}

TEST(Notifier, TellsOfStoreTroubleAndItsEnd) {
  StoreHealth health;
  std::promise<void> full;
  std::vector<std::unique_ptr<NoteCarrier>> carriers;
  carriers.push_back(std::make_unique<Box>(full, 1));
  const Box& box = static_cast<Box&>(*carriers.front());
  testing::internal::CaptureStderr();
  health.failed("disk full", "nothing");
  Notifier notifier(NotifySettings{.on = {Event::store}}, std::move(carriers), health);
  notifier.start();
  soon(full);
  notifier.stop();
  testing::internal::GetCapturedStderr();
  EXPECT_NE(box.notes.at(0).text.find("\ndisk full\n"), std::string::npos) << box.notes.at(0).text;
}

// Whatever is watched is told of like the store: once it begins, and once it is over.
TEST(Notifier, TellsOfWhatIsWatched) {
  const StoreHealth health;
  std::promise<void> over;
  std::vector<std::unique_ptr<NoteCarrier>> carriers;
  carriers.push_back(std::make_unique<Box>(over, 2));
  const Box& box = static_cast<Box&>(*carriers.front());
  Notifier notifier(NotifySettings{.on = {Event::store}}, std::move(carriers), health,
                    {.look = std::chrono::milliseconds(1)});
  int looks = 0;
  notifier.watch({"outcomes are not counted", "outcomes are counted again",
                  [&looks] { return ++looks < 3 ? "mail.log: Permission denied" : ""; }});
  notifier.start();
  soon(over);
  notifier.stop();
  ASSERT_EQ(box.notes.size(), 2U);
  EXPECT_EQ(box.notes[0].event, "store");
  EXPECT_EQ(box.notes[0].subject, "replygate: outcomes are not counted");
  EXPECT_NE(box.notes[0].text.find("\nmail.log: Permission denied\n"), std::string::npos) << box.notes[0].text;
  EXPECT_EQ(box.notes[1].subject, "replygate: outcomes are counted again");
  EXPECT_NE(box.notes[1].text.find("It was: mail.log: Permission denied"), std::string::npos) << box.notes[1].text;
}

TEST(Notifier, PausesForAKeyAndIsBoundedInAnHour) {
  const StoreHealth health;
  Notifier notifier(NotifySettings{.pause = std::chrono::minutes(10), .most_per_hour = 3}, {}, health);
  const Notifier::Clock::time_point start{std::chrono::hours(100)};
  EXPECT_TRUE(notifier.admit(Event::warning, "a", start));
  EXPECT_FALSE(notifier.admit(Event::warning, "a", start + std::chrono::minutes(9)));
  EXPECT_TRUE(notifier.admit(Event::first_refusal, "a", start));
  EXPECT_TRUE(notifier.admit(Event::warning, "a", start + std::chrono::minutes(10)));
  EXPECT_FALSE(notifier.admit(Event::warning, "b", start + std::chrono::minutes(11)));
  EXPECT_EQ(notifier.figures().left_out, 1);
  EXPECT_TRUE(notifier.admit(Event::warning, "b", start + std::chrono::minutes(61)));
}

// A server on a port of its own that says its lines, one for each that it hears, and keeps what it heard.
class Server {
 public:
  explicit Server(std::vector<std::string> lines, std::string end)
      : acceptor_(io_, {boost::asio::ip::make_address("127.0.0.1"), 0}) {
    heard_ = std::async(std::launch::async, [this, lines = std::move(lines), end = std::move(end)] {
      boost::asio::ip::tcp::socket socket(io_);
      acceptor_.accept(socket);
      std::string all;
      boost::system::error_code error;
      for (const std::string& line : lines) {
        boost::asio::write(socket, boost::asio::buffer(line), error);
        std::string in;
        const std::string until = line.starts_with("354") ? "\r\n.\r\n" : end;
        boost::asio::read_until(socket, boost::asio::dynamic_buffer(in), until, error);
        all += in;
      }
      return all;
    });
  }
  std::string port() const { return std::to_string(acceptor_.local_endpoint().port()); }
  std::string heard() { return heard_.get(); }

 private:
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::future<std::string> heard_;
};

TEST(NoteCarrier, SendsMail) {
  Server server({"220 mx.example.org\r\n", "250-mx\r\n250 SIZE\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n",
                 "250 queued\r\n", "221 bye\r\n"},
                "\r\n");
  OwnConnections own;
  const auto carriers = note_carriers(
      NotifySettings{
          .to = {"admin@example.org"}, .from = "replygate@example.org", .smtp = "inet:" + server.port() + "@127.0.0.1"},
      own);
  const auto carried = carriers.at(0)->carry({"warning", "replygate: a subject", "one\n.two\n"});
  EXPECT_TRUE(carried) << carried.error();
  const std::string heard = server.heard();
  EXPECT_NE(heard.find("MAIL FROM:<replygate@example.org>\r\nRCPT TO:<admin@example.org>\r\nDATA\r\n"),
            std::string::npos)
      << heard;
  EXPECT_NE(heard.find("Subject: replygate: a subject\r\n"), std::string::npos);
  EXPECT_NE(heard.find("\r\n\r\none\r\n..two\r\n.\r\n"), std::string::npos) << heard;
}

TEST(NoteCarrier, SendsTheUsersMailToTheUser) {
  Server server({"220 mx.example.org\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 queued\r\n",
                 "221 bye\r\n"},
                "\r\n");
  OwnConnections own;
  const auto carriers = note_carriers(NotifySettings{.to = {"admin@example.org"},
                                                     .from = "replygate@example.org",
                                                     .smtp = "inet:" + server.port() + "@127.0.0.1",
                                                     .webhook = "http://127.0.0.1:1/"},
                                      own);
  const Note note{"warning", "Grenze f\u00fcr Sie", "Gr\u00fc\u00dfe\n.\n", {"alice@example.net"}};
  EXPECT_FALSE(carriers.at(1)->is_for(note));
  ASSERT_TRUE(carriers.at(0)->is_for(note));
  EXPECT_TRUE(carriers.at(0)->carry(note));
  const std::string heard = server.heard();
  EXPECT_NE(heard.find("RCPT TO:<alice@example.net>\r\nDATA\r\n"), std::string::npos) << heard;
  EXPECT_EQ(heard.find("admin@"), std::string::npos);
  EXPECT_NE(heard.find("To: alice@example.net\r\nSubject: Grenze =?UTF-8?b?ZsO8cg==?= Sie\r\n"), std::string::npos)
      << heard;
  EXPECT_NE(heard.find("charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n"),
            std::string::npos)
      << heard;
}

// A mailbox that is not there costs the others nothing, and is not tried again.
TEST(NoteCarrier, WhoIsRefusedIsLeftOut) {
  testing::internal::CaptureStderr();
  Server server({"220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "550 5.1.1 no such user\r\n", "251 will forward\r\n",
                 "354 go\r\n", "250 queued\r\n", "221 bye\r\n"},
                "\r\n");
  OwnConnections own;
  const auto carriers = note_carriers(NotifySettings{.to = {"gone@example.org", "admin@example.org"},
                                                     .from = "replygate@example.org",
                                                     .smtp = "inet:" + server.port() + "@127.0.0.1"},
                                      own);
  EXPECT_TRUE(carriers.at(0)->carry({"warning", "subject", "text\n"}));
  EXPECT_NE(server.heard().find("Subject: subject"), std::string::npos);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "replygate: notify: <gone@example.org> gets no mail: 550 5.1.1 no such user\n");
}

TEST(NoteCarrier, NamesWhatTheServerSaid) {
  Server server({"220 mx.example.org\r\n", "250 mx\r\n", "550 5.1.8 no such sender\r\n"}, "\r\n");
  OwnConnections own;
  const auto carriers = note_carriers(
      NotifySettings{
          .to = {"admin@example.org"}, .from = "replygate@example.org", .smtp = "inet:" + server.port() + "@127.0.0.1"},
      own);
  const auto carried = carriers.at(0)->carry({"warning", "subject", "text\n"});
  ASSERT_FALSE(carried);
  EXPECT_NE(carried.error().find("\"MAIL FROM:<replygate@example.org>\" was answered 550 5.1.8"), std::string::npos)
      << carried.error();
}

// What carrying a note comes to with a server that says these lines.
bool arrives(std::vector<std::string> lines) {
  Server server(std::move(lines), "\r\n");
  OwnConnections own;
  const auto carriers = note_carriers(
      NotifySettings{
          .to = {"admin@example.org"}, .from = "replygate@example.org", .smtp = "inet:" + server.port() + "@127.0.0.1"},
      own);
  return carriers.at(0)->carry({"warning", "subject", "text\n"}).has_value();
}

TEST(NoteCarrier, WhatTheServerHasTakenIsNotSentAgain) {
  EXPECT_TRUE(arrives({"220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 queued\r\n"}));
  EXPECT_TRUE(arrives(
      {"220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 queued\r\n", "421 not now\r\n"}));
}

TEST(NoteCarrier, AReplyThatCameTwiceIsNotThatOfTheNextCommand) {
  EXPECT_FALSE(arrives({"220 mx\r\n", "250 mx\r\n250 mx\r\n"}));
  EXPECT_FALSE(arrives({"220 mx\r\n", "250 mx\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n354 go\r\n"}));
}

TEST(NoteCarrier, PostsJson) {
  Server server({"HTTP/1.1 204 No Content\r\n\r\n"}, "}");
  OwnConnections own;
  const auto carriers =
      note_carriers(NotifySettings{.webhook = "http://127.0.0.1:" + server.port() + "/hook?x=1"}, own);
  const auto carried = carriers.at(0)->carry({"warning", "subject", "a \"text\"\n"});
  EXPECT_TRUE(carried) << carried.error();
  const std::string heard = server.heard();
  EXPECT_TRUE(heard.starts_with("POST /hook?x=1 HTTP/1.1\r\n")) << heard;
  EXPECT_NE(heard.find("\"text\":\"a \\\"text\\\"\\n\"}"), std::string::npos) << heard;
}

// What was left undone must not come to its end in the next attempt.
TEST(NoteCarrier, GivesASilentServerUpAndTriesAgain) {
  boost::asio::io_context io;
  const boost::asio::ip::tcp::acceptor silent(io, {boost::asio::ip::make_address("127.0.0.1"), 0});
  const std::string port = std::to_string(silent.local_endpoint().port());
  OwnConnections own;
  const auto carriers = note_carriers(NotifySettings{.to = {"admin@example.org"},
                                                     .from = "replygate@example.org",
                                                     .smtp = "inet:" + port + "@127.0.0.1",
                                                     .webhook = "http://127.0.0.1:" + port + "/"},
                                      own, std::chrono::milliseconds(20));
  for (int attempt = 0; attempt < 3; ++attempt) {
    for (const auto& carrier : carriers) {
      const auto carried = carrier->carry({"warning", "subject", "text\n"});
      ASSERT_FALSE(carried);
      EXPECT_TRUE(carried.error().ends_with(": Connection timed out")) << carried.error();
    }
  }
}

TEST(NoteCarrier, SaysWhomItCouldNotReach) {
  OwnConnections own;
  const auto carriers = note_carriers(NotifySettings{.webhook = "http://127.0.0.1:1/"}, own);
  const auto carried = carriers.at(0)->carry({"warning", "subject", "text"});
  ASSERT_FALSE(carried);
  EXPECT_EQ(carried.error(), "webhook 127.0.0.1: connecting: Connection refused");
}

}  // namespace
}  // namespace replygate
