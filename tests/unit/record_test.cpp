#include "policy/decide/record.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <limits>

#include "policy/decide/record_fields.h"
#include "tests/support/world.h"

namespace replygate::test {
namespace {

namespace json = boost::json;

json::object only_record(const World& world) {
  EXPECT_EQ(world.records.json.size(), 1U);
  return json::parse(world.records.json.at(0)).as_object();
}

constexpr std::string_view kPolicy = R"(
[[rule]]
name = "quota"
per = "sender"
limit = "1 recipients / 1h"
reply = "quota-exceeded"
)";

TEST(Record, SaysWhatWasDecidedAndWhy) {
  World world(kPolicy);
  Talk talk(world);
  talk.stranger("<a@x.example>");
  talk.rcpt("<r@x.example>", "smtp");
  talk.rcpt("<s@x.example>");
  talk.end();
  const json::object record = only_record(world);
  EXPECT_EQ(record.at("outcome"), "accepted");
  EXPECT_EQ(record.at("client_ip"), "203.0.113.5");
  EXPECT_EQ(record.at("sender"), "a@x.example");
  EXPECT_EQ(record.at("time"), "2025-11-24T16:00:00.000Z");
  const json::array& recipients = record.at("recipients").as_array();
  EXPECT_EQ(recipients.at(0).at("action"), "pass");
  EXPECT_EQ(recipients.at(0).at("route"), "smtp");
  EXPECT_EQ(recipients.at(0).at("severity"), "success");
  const json::object& refused = recipients.at(1).as_object();
  EXPECT_EQ(refused.at("reply").at("code"), 452);
  EXPECT_EQ(refused.at("classification"), "quota-exceeded");
  EXPECT_EQ(refused.at("severity"), "transient");
  EXPECT_EQ(refused.at("bounce"), "soft");
  EXPECT_EQ(refused.at("category"), "mail system");
  EXPECT_EQ(refused.at("subject"), "security or policy");
  EXPECT_EQ(refused.at("detail"), "delivery not authorized, message refused");
  EXPECT_EQ(refused.at("rule"), "quota");
  EXPECT_EQ(refused.at("place"), "policy.toml:3");
  EXPECT_EQ(refused.at("mode"), "enforce");
  const json::object& limit = refused.at("limits").at(0).as_object();
  EXPECT_EQ(limit.at("key"), "a@x.example");
  EXPECT_EQ(limit.at("used"), 1);
  EXPECT_EQ(limit.at("limit"), 1);
  EXPECT_EQ(limit.at("window"), "1h");
  EXPECT_EQ(limit.at("fits"), false);
}

TEST(Record, ARefusedTransactionIsRecordedOnceAndAtOnce) {
  World world("[[rule]]\nname = \"r\"\nwhen = { null_sender = true }\nreply = \"bounces-blocked\"\n");
  Talk talk(world);
  talk.connect("203.0.113.5");
  talk.mail("<>");
  talk.abort();
  const json::object record = only_record(world);
  EXPECT_EQ(record.at("outcome"), "refused");
  EXPECT_EQ(record.at("message").at("reply").at("code"), 572);
  EXPECT_TRUE(record.at("recipients").as_array().empty());
}

TEST(Record, EndingsAreToldApart) {
  World world(kPolicy);
  Talk talk(world);
  talk.stranger("<a@x.example>");
  talk.rcpt("<r@x.example>");
  talk.abort();
  talk.mail("<a@x.example>");
  talk.rcpt("<r@x.example>");
  talk.end();
  talk.mail("<a@x.example>");
  talk.rcpt("<r@x.example>");
  talk.abort();
  ASSERT_EQ(world.records.json.size(), 3U);
  EXPECT_NE(world.records.json[0].find("\"outcome\":\"aborted\""), std::string::npos);
  EXPECT_NE(world.records.json[1].find("\"outcome\":\"accepted\""), std::string::npos);
  EXPECT_NE(world.records.json[2].find("\"outcome\":\"refused\""), std::string::npos);
}

TEST(Record, HostileValuesStayOneLineAndOneEvent) {
  World world("");
  Talk talk(world);
  talk.connect("203.0.113.5", "a\nb\" outcome=accepted \xff\xc3");
  talk.helo("{\"x\":1}\r\n\x01\x7f=");
  talk.mail("<a@\xfe>");
  talk.rcpt("<\"r\n\"@x.example>");
  talk.abort();
  const std::string& line = world.records.json.front();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  const json::object record = json::parse(line).as_object();
  EXPECT_EQ(record.at("helo"), "{\"x\":1}\r\n\x01\x7f=");
  EXPECT_EQ(record.at("client_name"), "a\nb\" outcome=accepted \\xff\\xc3");
  const std::string& logfmt = world.records.logfmt.front();
  EXPECT_EQ(std::count(logfmt.begin(), logfmt.end(), '\n'), 1);
  EXPECT_NE(logfmt.find(" outcome=aborted "), std::string::npos);
  EXPECT_NE(logfmt.find("client_name=\"a\\nb\\\" outcome=accepted"), std::string::npos);
}

// Texts are looked at and copied eight octets at a time: whatever the length, and wherever one stands that JSON
// escapes.
TEST(Record, AnyTextComesBackFromItsJson) {
  constexpr std::string_view kFrom = "abcdefghijklmnopqrstuvwxyz0123456789-._@ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const auto written = [](std::string_view key, std::string_view text) {
    detail::JsonWriter fields;
    fields.open_root('{');
    fields.text(key, text);
    fields.number("n", std::numeric_limits<std::int64_t>::min());
    fields.open_list("l");
    for (int i = 0; i < 2; ++i) fields.item(text);
    fields.close();
    fields.close();
    return json::parse(fields.written()).as_object();
  };
  for (std::size_t size = 0; size < kFrom.size(); ++size) {
    const std::string key(kFrom.substr(0, size));
    for (const char other : {'x', '"', '\\', '\n', '\x1f', '\x7f'}) {
      for (std::size_t at = 0; at < std::max<std::size_t>(size, 1); ++at) {
        std::string text = key;
        if (size > 0) text[at] = other;
        const json::object object = written(key, text);
        ASSERT_EQ(object.at(key), json::value(text)) << text;
        ASSERT_EQ(object.at("l").as_array().at(1), json::value(text)) << text;
        ASSERT_EQ(object.at("n"), json::value(std::numeric_limits<std::int64_t>::min()));
      }
    }
  }
}

// Room is made before it is written to, wherever that ends.
TEST(Record, EachFieldHasRoomWhereverItStands) {
  for (std::size_t before = 0; before < 4200; ++before) {
    detail::JsonWriter fields;
    fields.open_root('{');
    std::string expected = "{";
    for (std::size_t left = before; left > 0;) {  // texts stand whole up to a thousand octets
      const std::size_t size = std::min<std::size_t>(left, 900);
      fields.text("p", std::string(size, 'p'));
      expected += (expected.size() > 1 ? ",\"p\":\"" : "\"p\":\"") + std::string(size, 'p') + '"';
      left -= size;
    }
    if (before > 0) expected += ',';
    switch (before % 6) {
      case 0: fields.flag("fits", false), expected += "\"fits\":false"; break;
      case 1:
        fields.number("n", std::numeric_limits<std::int64_t>::min()), expected += "\"n\":-9223372036854775808";
        break;
      case 2: fields.open("object"), fields.close(), expected += "\"object\":{}"; break;
      case 3:
        fields.open_list("list"), fields.open_item(), fields.close(), fields.close(), expected += "\"list\":[{}]";
        break;
      case 4: fields.text("t", "\n"), expected += "\"t\":\"\\n\""; break;
      default:
        fields.open_list("l"), fields.item("i"), fields.item("j"), fields.close(), expected += R"("l":["i","j"])";
    }
    fields.flag("passes", false);
    fields.close();
    fields.end_line();
    ASSERT_EQ(fields.written(), expected + ",\"passes\":false}\n") << before;
  }
}

TEST(Record, LongValuesAreCut) {
  World world("");
  Talk talk(world);
  talk.connect("203.0.113.5");
  talk.helo(std::string(100000, 'h'));
  talk.mail("<a@x.example>");
  talk.abort();
  EXPECT_LT(world.records.json.front().size(), 4096U);
}

TEST(Record, LogfmtHasALineARecipient) {
  World world(kPolicy);
  Talk talk(world);
  talk.stranger("<a@x.example>");
  talk.rcpt("<r@x.example>");
  talk.rcpt("<s@x.example>");
  talk.end();
  const std::string& lines = world.records.logfmt.front();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 2);
  EXPECT_NE(lines.find("recipient=s@x.example action=refuse reply.code=452 reply.enhanced=4.7.1 reply.text=\"Sending "),
            std::string::npos)
      << lines;
}

}  // namespace
}  // namespace replygate::test
