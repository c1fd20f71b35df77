#include "policy/catalogue/classes.h"

#include <gtest/gtest.h>

#include <array>

#include "policy/catalogue/reply.h"
#include "policy/rules/template.h"

namespace replygate {
namespace {

TEST(Classes, TheSlugsOfTheContractExist) {
  for (const char* slug : {"access-denied",
                           "relay-denied",
                           "user-not-local",
                           "unknown-user",
                           "mailbox-busy",
                           "mailbox-full",
                           "mailbox-name-not-allowed",
                           "too-many-recipients",
                           "too-many-messages",
                           "quota-exceeded",
                           "rate-limited",
                           "message-too-big",
                           "storage-full",
                           "greylisted",
                           "duplicate-flood",
                           "bounces-blocked",
                           "host-closed",
                           "service-unavailable",
                           "bad-helo",
                           "reverse-dns-failed",
                           "authentication-required",
                           "authentication-too-weak",
                           "password-transition-needed",
                           "encryption-required",
                           "tls-unavailable",
                           "command-not-allowed",
                           "local-error",
                           "transaction-failed"}) {
    EXPECT_NE(find_classification(slug), nullptr) << slug;
  }
}

TEST(Classes, EveryRefusalCodeOfTheListsIsADefault) {
  for (const ReplyCode& code : reply_codes()) {
    bool listed = false;
    for (const Sense& sense : code.senses) listed |= sense.sources != 0;
    if (!listed || code.code < 400) continue;
    EXPECT_FALSE(classifications_with(code.code).empty()) << code.code;
  }
}

TEST(Classes, DefaultsOfTheContract) {
  struct Row {
    const char* slug;
    int code;
    const char* enhanced;
  };
  for (const Row& row : std::initializer_list<Row>{{"access-denied", 554, "5.7.1"},
                                                   {"too-many-recipients", 453, "4.5.3"},
                                                   {"quota-exceeded", 452, "4.7.1"},
                                                   {"mailbox-full", 452, "4.2.2"},
                                                   {"bounces-blocked", 572, "5.7.1"},
                                                   {"duplicate-flood", 557, "5.7.1"},
                                                   {"greylisted", 450, "4.7.1"}}) {
    const Classification& c = *find_classification(row.slug);
    EXPECT_EQ(c.code, row.code) << row.slug;
    EXPECT_EQ(c.enhanced.text(), row.enhanced) << row.slug;
  }
}

TEST(Classes, TextsAreTemplatesThatFitALine) {
  for (const Classification& c : classifications()) {
    const auto parsed = ReplyTemplate::parse(c.text);
    ASSERT_TRUE(std::holds_alternative<ReplyTemplate>(parsed)) << c.slug;
    EXPECT_LE(std::get<ReplyTemplate>(parsed).longest_line() + prefix_size(c.enhanced) + 2, Reply::kMostOctets);
    EXPECT_NE(find_enhanced_status(c.enhanced), nullptr) << c.slug;
  }
}

TEST(Classes, OneOfThemStatesNoReason) {
  const Classification& neutral = classification_without_reason();
  EXPECT_EQ(neutral.slug, "refused-by-policy");
  EXPECT_EQ(neutral.enhanced.text(), "5.7.1");
  for (const Stage stage : kStages) EXPECT_TRUE(has(neutral.stages, stage)) << to_string(stage);
}

}  // namespace
}  // namespace replygate
