#include <fmt/format.h>
#include <gtest/gtest.h>

#include "milter/door/wire/arguments.h"
#include "milter/door/wire/macros.h"
#include "milter/door/wire/packet.h"
#include "milter/door/wire/replies.h"
#include "tests/support/wire.h"

namespace replygate::wire {
namespace {

using test::macros_packet;
using test::packets_in;
using test::strings;
using Kind = Framed::Kind;

constexpr std::size_t kMost = 1000;

TEST(Packet, IsReadWhereverItEnds) {
  const std::string octets = test::packet('R', strings({"<a@b.example>"}));
  for (std::size_t size = 0; size < octets.size(); ++size) {
    const Framed framed = next_packet(std::string_view(octets).substr(0, size), kMost);
    EXPECT_EQ(framed.kind, Kind::incomplete) << size;
    EXPECT_EQ(framed.size, size < 4 ? 0 : octets.size()) << size;
  }
  const std::string more = octets + "rest";
  const Framed framed = next_packet(more, kMost);
  ASSERT_EQ(framed.kind, Kind::packet);
  EXPECT_EQ(framed.packet.command, 'R');
  EXPECT_EQ(framed.packet.data, strings({"<a@b.example>"}));
  EXPECT_EQ(framed.size, octets.size());
}

TEST(Packet, LengthsAreBounded) {
  EXPECT_EQ(next_packet(std::string_view("\0\0\0\0", 4), kMost).kind, Kind::empty);
  EXPECT_EQ(next_packet(std::string_view("\0\0\3\350", 4), kMost).kind, Kind::incomplete);  // 1000
  EXPECT_EQ(next_packet(std::string_view("\0\0\3\351", 4), kMost).kind, Kind::too_long);    // 1001
  EXPECT_EQ(next_packet("\377\377\377\377", kMost).kind, Kind::too_long);
  EXPECT_EQ(next_packet("GET / HTTP/1.0\r\n\r\n", kMost).kind, Kind::too_long);
}

TEST(Packet, NumbersAreInNetworkOrder) {
  std::string out;
  append_u32(out, 0x01020384);
  EXPECT_EQ(out, "\1\2\3\204");
  EXPECT_EQ(read_u32(out), 0x01020384U);
  EXPECT_EQ(read_u16("\377\2"), 0xff02U);
}

TEST(Arguments, Negotiation) {
  const std::string data = test::negotiation(6, 0x1ff, 0x1fffff).substr(5);
  const auto offer = parse_negotiation(data + "and more");
  ASSERT_TRUE(offer);
  EXPECT_EQ(offer->version, 6U);
  EXPECT_EQ(offer->actions, 0x1ffU);
  EXPECT_EQ(offer->steps, 0x1fffffU);
  EXPECT_FALSE(parse_negotiation(std::string_view(data).substr(0, 11)));
}

std::optional<ConnectArguments> connect_of(std::string_view ip) {
  static std::string octets;
  octets = test::connect_packet(ip, "host.example", 25).substr(5);
  return parse_connect(octets);
}

TEST(Arguments, Connect) {
  EXPECT_EQ(connect_of("192.0.2.1")->ip, IpAddress::parse("192.0.2.1"));
  EXPECT_EQ(connect_of("192.0.2.1")->port, 25);
  EXPECT_EQ(connect_of("192.0.2.1")->host, "host.example");
  EXPECT_EQ(connect_of("2001:db8::1")->ip, IpAddress::parse("2001:db8::1"));
  EXPECT_EQ(connect_of("IPv6:0:0:0:0:0:0:0:1")->ip, IpAddress::parse("::1"));  // Sendmail's way
  EXPECT_EQ(connect_of("")->ip, std::nullopt);
  EXPECT_EQ(parse_connect(std::string_view("h\0L\0\0/run/x\0", 12))->ip, std::nullopt);
}

TEST(Arguments, ConnectThatBreaksTheProtocol) {
  using std::string_view;
  for (const string_view data :
       {string_view(""), string_view("host"), string_view("host\0", 5), string_view("h\0X\0\0a\0", 7),
        string_view("h\0004\0\031192.0.2.1", 14), string_view("h\0004\0\031192.0.2\0", 13), string_view("h\0004\0", 4),
        string_view("h\0006\0\031192.0.2.1\0", 15), string_view("h\0004\0\031::1\0", 9)}) {
    EXPECT_FALSE(parse_connect(data)) << testing::PrintToString(data);
  }
}

TEST(Arguments, StringsEndWithNul) {
  const std::string data = strings({"<a@b>", "SIZE=1", ""});
  EXPECT_EQ(parse_strings(data), (std::vector<std::string_view>{"<a@b>", "SIZE=1", ""}));
  EXPECT_EQ(parse_first_string(data), "<a@b>");
  EXPECT_FALSE(parse_strings(""));
  EXPECT_FALSE(parse_strings("<a@b>"));
  EXPECT_FALSE(parse_strings(data + "tail"));
  for (const std::string& broken : {std::string(), std::string("<a@b>"), data + "tail"}) {
    EXPECT_FALSE(parse_first_string(broken)) << broken;
  }
}

void set(MacroTable& table, char command, std::initializer_list<std::string_view> names_and_values) {
  table.set(macros_packet(command, names_and_values).substr(5));
}

TEST(Macros, OfEarlierEventsStayUntilTheEventBeginsAnew) {
  MacroTable table;
  set(table, 'C', {"j", "mx.example", "{daemon_name}", "smtp"});
  set(table, 'M', {"{auth_authen}", "carol", "i", "Q1"});
  set(table, 'R', {"{rcpt_mailer}", "local"});
  EXPECT_EQ(table.get("{auth_authen}"), "carol");
  EXPECT_EQ(table.get("{rcpt_mailer}"), "local");
  EXPECT_EQ(table.get("{daemon_name}"), "smtp");
  set(table, 'M', {"i", "Q2"});
  EXPECT_EQ(table.get("i"), "Q2");
  EXPECT_EQ(table.get("{auth_authen}"), "");
  EXPECT_EQ(table.get("{rcpt_mailer}"), "");
  EXPECT_EQ(table.get("j"), "mx.example");
}

TEST(Macros, EndWithWhatTheyBelongTo) {
  MacroTable table;
  set(table, 'C', {"j", "mx.example"});
  set(table, 'M', {"{auth_authen}", "carol"});
  set(table, 'R', {"{rcpt_mailer}", "local"});
  table.end_recipient();
  EXPECT_EQ(table.get("{rcpt_mailer}"), "");
  EXPECT_EQ(table.get("{auth_authen}"), "carol");
  table.end_message();
  EXPECT_EQ(table.get("{auth_authen}"), "");
  EXPECT_EQ(table.get("j"), "mx.example");
  table.clear();
  EXPECT_EQ(table.get("j"), "");
}

TEST(Macros, TheLatestCountsEvenIfItIsEmpty) {
  MacroTable table;
  set(table, 'H', {"{cert_subject}", "/CN=old"});
  set(table, 'M', {"{cert_subject}", ""});
  EXPECT_EQ(table.get("{cert_subject}"), "");
}

TEST(Macros, AreTakenWithAndWithoutBraces) {
  MacroTable table;
  set(table, 'M', {"auth_authen", "carol", "{i}", "Q1"});
  EXPECT_EQ(table.get("{auth_authen}"), "carol");
  EXPECT_EQ(table.get("i"), "Q1");
}

TEST(Macros, WhatMakesNoSenseIsPassedOver) {
  MacroTable table;
  table.set("");
  table.set("?j\0x\0");
  table.set("Mdangling");
  EXPECT_EQ(table.get("dangling"), "");
  set(table, 'M', {"a", "1", "b"});
  EXPECT_EQ(table.get("a"), "1");
  EXPECT_EQ(table.get("b"), "");
}

TEST(Macros, AreBounded) {
  MacroTable table;
  std::string data = "M";
  for (int i = 0; i < 1000; ++i) data += fmt::format("m{}{}", i, std::string_view("\0v\0", 3));
  table.set(data);
  EXPECT_EQ(table.get("m255"), "v");
  EXPECT_EQ(table.get("m256"), "");
}

TEST(Replies, Refusal) {
  std::string out;
  const std::vector<std::string> lines = {"100% no", "bye"};
  append_refusal(out, replygate::Reply::make(571, {5, 7, 1}, lines).value());
  append_go_on(out);
  append_progress(out);
  const auto heard = packets_in(out);
  ASSERT_EQ(heard.size(), 3U);
  EXPECT_EQ(heard[0].command, 'y');
  EXPECT_EQ(heard[0].data, std::string("571-5.7.1 100%% no\r\n571 5.7.1 bye\0", 34));
  EXPECT_EQ(heard[1], (test::Heard{'c', ""}));
  EXPECT_EQ(heard[2], (test::Heard{'p', ""}));
}

TEST(Replies, ChangesToAMessage) {
  std::string out;
  append_add_header(out, "X-Policy", "seen");
  append_quarantine(out, "to be looked at");
  append_add_header(out, std::string_view("A\0B", 3), std::string_view("c\0d", 3));
  EXPECT_EQ(packets_in(out), (std::vector<test::Heard>{{'h', test::strings({"X-Policy", "seen"})},
                                                       {'q', test::strings({"to be looked at"})},
                                                       {'h', test::strings({"A", "c"})}}));
}

TEST(Replies, Negotiation) {
  std::string out;
  const std::vector<MacroWish> wishes = {{MacroStage::connect, "j"}, {MacroStage::end_of_headers, "i {x}"}};
  append_negotiation(out, {6, kSetMacros, kNoData}, wishes);
  std::string expected = test::negotiation(6, 0x100, 0x200).substr(5);
  expected += std::string("\0\0\0\0j\0\0\0\0\6i {x}\0", 16);
  EXPECT_EQ(packets_in(out), (std::vector<test::Heard>{{'O', expected}}));
}

}  // namespace
}  // namespace replygate::wire
