#include "policy/catalogue/codes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string_view>
#include <vector>

namespace replygate {
namespace {

struct Listing {
  std::string_view name;
  std::vector<int> codes;
};

// Which codes each of the five lists has.
const Listing kLists[] = {
    {"esa",
     {211, 214, 220, 221, 250, 251, 354, 421, 450, 451, 452, 453, 500, 501, 502, 503, 504, 550, 551, 552, 553, 554}},
    {"faq", {200, 211, 214, 220, 221, 250, 251, 252, 354, 421, 450, 451, 452, 453,
             500, 501, 502, 503, 504, 521, 530, 550, 551, 552, 553, 554, 557}},
    {"modusgate", {220, 221, 250, 251, 252, 421, 450, 451, 452, 500, 501, 502, 503, 504, 550, 551, 552, 553, 554}},
    {"wiki", {200, 211, 214, 220, 221, 250, 251, 354, 421, 450, 451, 452,
              500, 501, 502, 503, 504, 521, 550, 551, 552, 553, 554}},
    {"maxbulk", {211, 214, 220, 221, 250, 251, 252, 253, 354, 355, 421, 432, 450, 451, 452, 453, 454, 458,
                 459, 500, 501, 502, 503, 504, 505, 521, 530, 534, 538, 550, 551, 552, 553, 554, 571, 572}},
};

// The codes by command, as one of the lists groups them.
const Listing kCommands[] = {
    {"connect", {220, 421}},
    {"HELO", {250, 500, 501, 504, 521, 421}},
    {"EHLO", {250, 550, 500, 501, 504, 421}},
    {"MAIL", {250, 552, 451, 452, 500, 501, 421}},
    {"RCPT", {250, 251, 550, 551, 552, 553, 450, 451, 452, 500, 501, 503, 521, 421}},
    {"DATA", {354, 451, 554, 500, 501, 503, 421}},
    {"message", {250, 552, 554, 451, 452}},
    {"RSET", {200, 250, 500, 501, 504, 421}},
    {"SEND", {250, 552, 451, 452, 500, 501, 502, 421}},
    {"SOML", {250, 552, 451, 452, 500, 501, 502, 421}},
    {"SAML", {250, 552, 451, 452, 500, 501, 502, 421}},
    {"VRFY", {250, 251, 550, 551, 553, 500, 501, 502, 504, 421}},
    {"EXPN", {250, 550, 500, 501, 502, 504, 421}},
    {"HELP", {211, 214, 500, 501, 502, 504, 421}},
    {"NOOP", {200, 250, 500, 421}},
    {"QUIT", {221, 500}},
    {"TURN", {250, 502, 500, 503}},
};

TEST(Codes, EachListIsCompleteAndNothingIsAddedToIt) {
  std::set<int> all;
  for (const Listing& list : kLists) {
    std::vector<int> found;
    for (const ReplyCode& code : reply_codes()) {
      for (const Sense& sense : code.senses) {
        const auto sources = names_of_sources(sense.sources);
        if (std::ranges::find(sources, list.name) != sources.end()) {
          found.push_back(code.code);
          break;
        }
      }
    }
    EXPECT_EQ(found, list.codes) << list.name;
    all.insert(list.codes.begin(), list.codes.end());
  }
  EXPECT_EQ(all.size(), 38U);
}

TEST(Codes, EachRowOfTheListByCommandIsThere) {
  for (const Listing& row : kCommands) {
    const Command command = command_from(row.name).value();
    for (const int code : row.codes) {
      ASSERT_NE(find_reply_code(code), nullptr) << code;
      EXPECT_NE(find_reply_code(code)->commands & bit(command), 0U) << row.name << ' ' << code;
    }
  }
}

// A command gets codes beyond that list only where no row of the list has the code at all, or an RFC adds the command.
TEST(Codes, NoListedCodeIsGivenToOtherCommandsOfThatList) {
  std::set<int> listed;
  for (const Listing& row : kCommands) listed.insert(row.codes.begin(), row.codes.end());
  const std::set<std::pair<int, std::string_view>> by_rfc = {{521, "connect"}, {554, "connect"}};
  for (const Listing& row : kCommands) {
    const Command command = command_from(row.name).value();
    for (const ReplyCode& code : reply_codes()) {
      if (!listed.contains(code.code) || (code.commands & bit(command)) == 0) continue;
      const bool in_row = std::ranges::find(row.codes, code.code) != row.codes.end();
      EXPECT_TRUE(in_row || by_rfc.contains({code.code, row.name})) << row.name << ' ' << code.code;
    }
  }
}

std::vector<std::string_view> meanings(int code) {
  std::vector<std::string_view> result;
  for (const Sense& sense : find_reply_code(code)->senses) result.push_back(sense.meaning);
  return result;
}

TEST(Codes, CodesWithSeveralSensesHaveThemAll) {
  EXPECT_EQ(meanings(453),
            (std::vector<std::string_view>{"too many recipients", "too many messages", "you have no mail"}));
  EXPECT_EQ(meanings(551).size(), 2U);
  for (const int code : {530, 550, 450, 451, 454, 521}) EXPECT_GE(meanings(code).size(), 2U) << code;
}

TEST(Codes, DigitsInWords) {
  EXPECT_EQ(severity_of(250), Severity::success);
  EXPECT_EQ(severity_of(354), Severity::intermediate);
  EXPECT_EQ(severity_of(453), Severity::transient);
  EXPECT_EQ(severity_of(571), Severity::permanent);
  EXPECT_EQ(bounce_of(453), Bounce::soft);
  EXPECT_EQ(bounce_of(571), Bounce::hard);
  EXPECT_EQ(bounce_of(354), Bounce::none);
  EXPECT_EQ(category_of(501), "syntax");
  EXPECT_EQ(category_of(211), "information");
  EXPECT_EQ(category_of(421), "connections");
  EXPECT_EQ(category_of(550), "mail system");
  EXPECT_EQ(category_of(571), "unspecified");
}

TEST(Codes, LaterRfcsAreKnown) {
  for (const int code : {235, 334, 455, 523, 525, 535, 555, 556}) {
    ASSERT_NE(find_reply_code(code), nullptr) << code;
    EXPECT_FALSE(find_reply_code(code)->defined_by.empty()) << code;
  }
  for (const int code : {200, 505, 557, 571, 572}) EXPECT_TRUE(find_reply_code(code)->defined_by.empty()) << code;
  EXPECT_EQ(find_reply_code(999), nullptr);
}

TEST(Codes, CommandNames) {
  EXPECT_EQ(command_from("rcpt"), Command::rcpt);
  EXPECT_EQ(command_from("dot"), Command::message);
  EXPECT_EQ(command_from("nonsense"), std::nullopt);
}

}  // namespace
}  // namespace replygate
