#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/asio.hpp>
#include <boost/json.hpp>
#include <future>
#include <set>

#include "milter/cli/table.h"
#include "milter/exit_status.h"
#include "milter/json_members.h"
#include "milter/serve/control_client.h"
#include "milter/serve/control_commands.h"
#include "milter/serve/control_server.h"
#include "policy/decide/record_fields.h"
#include "tests/support/eventually.h"
#include "tests/support/office.h"

namespace replygate {
namespace {

namespace json = boost::json;
using test::Office;
using test::soon;

constexpr std::string_view kPolicy =
    "[[rule]]\nname = \"quota\"\nper = \"sender\"\nlimit = [\"3 recipients / 1h\", \"9 recipients / 1d\"]\nreply = "
    "452\n"
    "escalate = [{ after = \"2 refusals / 1h\", reply = 550 }]\n"
    "[[rule]]\nname = \"pairs\"\nper = [\"client_ip\", \"sender\"]\nlimit = \"100 recipients / 1h\"\nreply = 452\n";

ControlAnswer ask(Office& office, json::object request) {
  request["v"] = kControlVersion;
  std::promise<ControlAnswer> promise;
  answer_request(*office.desk, request, [&](ControlAnswer answer) { promise.set_value(std::move(answer)); });
  return soon(promise);
}

TEST(Control, AnswersNonsenseWithAnError) {
  Office office(kPolicy);
  std::string error;
  const auto keep = [&](const ControlAnswer& answer) { error = answer.error; };
  answer_request(*office.desk, {{"command", "status"}}, keep);
  EXPECT_EQ(error, "this daemon speaks version 1 of requests");
  answer_request(*office.desk, {{"v", "x"}, {"command", "status"}}, keep);
  EXPECT_EQ(error, "this daemon speaks version 1 of requests");
  EXPECT_EQ(ask(office, {{"command", "stauts"}}).error, "there is no such command");
  EXPECT_EQ(ask(office, {}).status, kUsage);
}

TEST(Control, StatusAndRulesTellWhatRuns) {
  Office office(kPolicy);
  office.send("a@b.example", {"1@example.org", "2@example.org", "3@example.org", "4@example.org"});
  const ControlAnswer status = ask(office, {{"command", "status"}});
  EXPECT_EQ(text_at(object_at(status.result, "policy"), "id"), office.keeper.current().get()->id());
  EXPECT_EQ(text_at(status.result, "trouble"), "");
  const ControlAnswer rules = ask(office, {{"command", "rules"}});
  const json::array& rows = array_at(rules.result, "rules");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(text_at(rows[0].as_object(), "rule"), "quota");
  EXPECT_EQ(number_at(rows[0].as_object(), "hits"), 1);
  EXPECT_EQ(text_at(rows[0].as_object(), "last"), detail::format_time(office.clock.now()));
}

TEST(Control, QuotaIsShownAndForgotten) {
  Office office(kPolicy);
  office.send("a@b.example", {"1@example.org", "2@example.org", "3@example.org", "4@example.org"});
  const auto shown = [&] { return ask(office, {{"command", "quota-show"}, {"key", "A@b.example"}}); };
  const json::array limits = array_at(shown().result, "limits");
  ASSERT_EQ(limits.size(), 3U);
  EXPECT_EQ(text_at(limits[0].as_object(), "limit"), "3 recipients / 1h");
  EXPECT_EQ(number_at(limits[0].as_object(), "used"), 3);
  EXPECT_EQ(number_at(limits[0].as_object(), "left"), 0);
  EXPECT_NE(text_at(limits[0].as_object(), "room_at"), "");
  EXPECT_EQ(number_at(limits[1].as_object(), "left"), 6);
  EXPECT_TRUE(flag_at(limits[2].as_object(), "escalation"));
  EXPECT_EQ(number_at(limits[2].as_object(), "used"), 1);
  EXPECT_EQ(number_at(ask(office, {{"command", "quota-reset"}, {"key", "a@b.example"}}).result, "reset"), 3);
  EXPECT_EQ(number_at(array_at(shown().result, "limits")[0].as_object(), "used"), 0);
  EXPECT_EQ(office.send("a@b.example", {"1@example.org"}), std::vector<int>{250});
}

TEST(Control, TheFullestLimitsAndRaisesAreListed) {
  Office office(kPolicy);
  EXPECT_TRUE(array_at(ask(office, {{"command", "quota-list"}}).result, "limits").empty());
  office.send("a@b.example", {"1@example.org"});
  office.send("c@b.example", {"1@example.org", "2@example.org", "3@example.org"});
  const std::string until = detail::format_time(office.clock.now() + std::chrono::hours(2));
  ask(office, {{"command", "quota-raise"}, {"key", "a@b.example"}, {"percent", 200}, {"until", until}});
  const auto answer = ask(office, {{"command", "quota-list"}, {"count", 2}});
  const json::array limits = array_at(answer.result, "limits");
  ASSERT_EQ(limits.size(), 2U);
  EXPECT_EQ(text_at(limits[0].as_object(), "key"), "c@b.example");
  EXPECT_EQ(number_at(limits[0].as_object(), "used"), 3);
  EXPECT_EQ(text_at(limits[0].as_object(), "limit"), "3 recipients / 1h");
  const json::array raises = array_at(answer.result, "raises");
  ASSERT_EQ(raises.size(), 1U);
  EXPECT_EQ(text_at(raises[0].as_object(), "key"), "a@b.example");
  EXPECT_EQ(text_at(raises[0].as_object(), "until"), until);
}

// Whatever a rule counts by: a network, a recipient, several facts.
TEST(Control, TheFullestLimitsAreOfEachKindOfKey) {
  const auto rule = [](std::string_view name, std::string_view per) {
    return fmt::format("[[rule]]\nname = \"{}\"\nper = {}\nlimit = \"9 recipients / 1h\"\nreply = 452\n", name, per);
  };
  Office office(rule("net", "\"client_net\"") + rule("to", "\"recipient\"") +
                rule("pair", "[\"client_ip\", \"sender\"]"));
  office.send("a@b.example", {"1@example.org", "2@example.org"});
  std::set<std::string> keys;
  const auto answer = ask(office, {{"command", "quota-list"}});
  for (const json::value& row : array_at(answer.result, "limits")) {
    keys.insert(text_at(row.as_object(), "key"));
  }
  EXPECT_EQ(keys, (std::set<std::string>{"192.0.2.0/24", "1@example.org", "2@example.org", "192.0.2.1|a@b.example"}));
}

TEST(Control, AKeyOfSeveralFactsHasAsManyParts) {
  Office office(kPolicy);
  office.send("a@b.example", {"1@example.org"});
  const auto answer = ask(office, {{"command", "quota-show"}, {"key", "192.0.2.1|a@b.example"}});
  ASSERT_EQ(array_at(answer.result, "limits").size(), 1U);
  EXPECT_EQ(number_at(array_at(answer.result, "limits")[0].as_object(), "used"), 1);
  for (const char* key : {"", "|", "a|b|c", "192.0.2.1|"}) {
    EXPECT_EQ(ask(office, {{"command", "quota-show"}, {"key", key}}).status, kFound) << key;
  }
}

TEST(Control, ARaiseIsShown) {
  Office office(kPolicy);
  const std::string until = detail::format_time(office.clock.now() + std::chrono::hours(2));
  EXPECT_EQ(ask(office, {{"command", "quota-raise"}, {"key", "a@b.example"}, {"percent", 50}, {"until", until}}).status,
            kUsage);
  EXPECT_EQ(
      ask(office, {{"command", "quota-raise"}, {"key", "a@b.example"}, {"percent", 200}, {"until", "soon"}}).status,
      kUsage);
  EXPECT_EQ(ask(office, {{"command", "quota-raise"}, {"key", "a@b.example"}, {"percent", 200}, {"until", until}}).error,
            "");
  const auto answer = ask(office, {{"command", "quota-show"}, {"key", "a@b.example"}});
  const json::object& first = array_at(answer.result, "limits")[0].as_object();
  EXPECT_TRUE(flag_at(first, "raised"));
  EXPECT_EQ(text_at(first, "limit"), "6 recipients / 1h");
}

// A slip of the finger is not reported as done.
TEST(Control, WhatIsUnknownIsSaid) {
  Office office(kPolicy);
  office.send("a@b.example", {"1@example.org"});
  const std::string until = detail::format_time(office.clock.now() + std::chrono::hours(2));
  const auto reset = [&](std::string_view key, std::string_view rule = "") {
    return ask(office, {{"command", "quota-reset"}, {"key", key}, {"rule", rule}});
  };
  EXPECT_EQ(reset("typo@b.example").status, kFound);
  EXPECT_EQ(reset("typo@b.example").error, "nothing has been counted for \"typo@b.example\"; nothing is reset");
  EXPECT_EQ(reset("a@b.example", "typo").error, "there is no rule \"typo\"; replygate rules lists them");
  EXPECT_EQ(reset("a@b.example", "pairs").error, "the rule \"pairs\" does not count for a key like \"a@b.example\"");
  EXPECT_EQ(number_at(reset("a@b.example").result, "reset"), 2);
  EXPECT_EQ(reset("a@b.example").status, kFound);
  const auto raise = [&](std::string_view key) {
    return ask(office, {{"command", "quota-raise"}, {"key", key}, {"percent", 200}, {"until", until}});
  };
  office.send("a@b.example", {"1@example.org"});
  EXPECT_TRUE(flag_at(raise("a@b.example").result, "counted"));
  EXPECT_TRUE(raise("nobody@b.example").result.contains("counted"));
  EXPECT_FALSE(flag_at(raise("nobody@b.example").result, "counted"));
}

TEST(Control, ReloadSaysWhatIsWrong) {
  Office office(kPolicy);
  office.write_policy("[[rule]]\nname = \"r\"\nreply = 5500\n");
  testing::internal::CaptureStderr();
  const ControlAnswer answer = ask(office, {{"command", "reload"}});
  testing::internal::GetCapturedStderr();
  EXPECT_EQ(answer.status, kPolicyError);
  EXPECT_NE(text_at(answer.result, "messages").find("policy.toml:4:9"), std::string::npos);
}

TEST(Control, DrainClosesTheDoorUntilItIsOpened) {
  Office office(kPolicy);
  testing::internal::CaptureStderr();
  ask(office, {{"command", "drain"}});
  EXPECT_TRUE(office.traffic.closed());
  ask(office, {{"command", "drain"}, {"off", true}});
  testing::internal::GetCapturedStderr();
  EXPECT_FALSE(office.traffic.closed());
}

TEST(Control, WhyFindsWhatWasDecided) {
  Office office(kPolicy);
  office.send("a@b.example", {"1@example.org"});
  office.history->close();
  EXPECT_EQ(array_at(ask(office, {{"command", "why"}, {"word", "4QUEUE1"}}).result, "records").size(), 1U);
  EXPECT_TRUE(array_at(ask(office, {{"command", "why"}, {"word", "4QUEUE2"}}).result, "records").empty());
  office.desk->history = nullptr;
  EXPECT_EQ(ask(office, {{"command", "why"}, {"word", "x"}}).status, kUnavailable);
}

class ControlSocket : public ::testing::Test {
 protected:
  ControlSocket() : server_(open_control_server("unix:" + path(), *office_.desk).value()) { server_->start(); }
  std::string path() const { return office_.folder.file("control.sock"); }
  std::unique_ptr<ControlClient> client() const { return ControlClient::connect(path()).value(); }

  Office office_{kPolicy};
  std::unique_ptr<StreamServer> server_;
};

TEST_F(ControlSocket, CarriesRequestsOneAfterTheOther) {
  const auto one = client();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(flag_at(one->ask({{"command", "status"}}).value(), "ok"));
  EXPECT_EQ(std::filesystem::status(path()).permissions(), std::filesystem::perms(0660));
}

TEST_F(ControlSocket, WhatIsNoRequestEndsTheConnection) {
  boost::asio::io_context io;
  for (const std::string& text : {std::string("nonsense\n"), std::string("[1]\n"), std::string(70'000, 'x')}) {
    boost::asio::local::stream_protocol::socket socket(io);
    socket.connect(path());
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(text), error);
    std::string answer;
    boost::asio::read(socket, boost::asio::dynamic_buffer(answer), error);
    EXPECT_NE(answer.find("\"ok\":false"), std::string::npos) << answer;
  }
  EXPECT_TRUE(client()->ask({{"command", "status"}}));
}

TEST_F(ControlSocket, TailShowsWhatIsAskedFor) {
  const auto all = client();
  const auto refused = client();
  const auto elsewhere = client();
  EXPECT_TRUE(flag_at(all->ask({{"command", "tail"}}).value(), "ok"));
  EXPECT_TRUE(flag_at(refused->ask({{"command", "tail"}, {"code", 452}, {"rule", "quota"}}).value(), "ok"));
  EXPECT_TRUE(flag_at(elsewhere->ask({{"command", "tail"}, {"ip", "198.51.100.0/24"}}).value(), "ok"));
  EXPECT_FALSE(flag_at(client()->ask({{"command", "tail"}, {"ip", "nonsense"}}).value(), "ok"));
  office_.send("a@b.example", {"1@example.org"});
  office_.send("x@b.example", {"1@example.org", "2@example.org", "3@example.org", "4@example.org"}, "", "198.51.100.9");
  EXPECT_NE(all->next_line()->find("a@b.example"), std::string::npos);
  EXPECT_NE(all->next_line()->find("x@b.example"), std::string::npos);
  EXPECT_NE(refused->next_line()->find("x@b.example"), std::string::npos);
  EXPECT_NE(elsewhere->next_line()->find("x@b.example"), std::string::npos);
}

TEST_F(ControlSocket, AWatcherThatDoesNotReadCostsRecordsAndNoMemory) {
  const auto lazy = client();
  EXPECT_TRUE(lazy->ask({{"command", "tail"}}));
  for (int i = 0; i < 20'000; ++i) office_.send("a@b.example", {"1@example.org"});
  std::optional<std::string> line;
  do {
    line = lazy->next_line();
  } while (line && !line->starts_with("{\"left_out\":"));
  EXPECT_TRUE(line);
}

TEST_F(ControlSocket, ManyIdleClientsDoNotKeepOthersOut) {
  std::vector<std::unique_ptr<ControlClient>> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(client());
  idle.clear();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  bool served = false;
  while (!served && std::chrono::steady_clock::now() < deadline)
    served = client()->ask({{"command", "status"}}).has_value();
  EXPECT_TRUE(served);
}

TEST(Table, FitsTheTerminal) {
  Table table({"rule", " hits"});
  table.add({"a-rule-with-a-very-long-name", "7"});
  EXPECT_EQ(table.text(0), "rule                           hits\na-rule-with-a-very-long-name      7\n");
  EXPECT_EQ(table.text(20), "rule            hits\na-rule-with-~      7\n");
}

}  // namespace
}  // namespace replygate
