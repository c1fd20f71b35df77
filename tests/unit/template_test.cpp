#include "policy/rules/template.h"

#include <gtest/gtest.h>

namespace replygate {
namespace {

ReplyTemplate parsed(std::string_view text) {
  auto result = ReplyTemplate::parse(text);
  EXPECT_TRUE(std::holds_alternative<ReplyTemplate>(result)) << text;
  return std::get<ReplyTemplate>(result);
}

TEST(ReplyTemplate, SubstitutesFactsAndWords) {
  Connection connection;
  connection.ip_text = "192.0.2.1";
  connection.ip = IpAddress::parse("192.0.2.1");
  Transaction transaction;
  transaction.declared_size = 25LL << 20;
  Recipient recipient;
  recipient.address = {Address::Form::mailbox, "a@b.example", 1};
  const Facts facts{connection, &transaction, &recipient};
  const Words words{.rule = "r", .limit = "5 messages / 1h", .used = "5", .retry_after = "12m", .ref = "ABC"};
  EXPECT_EQ(parsed("{recipient} {client_ip} {declared_size}: {rule} {limit} {used} {retry_after} {ref} {{x}}")
                .render(facts, words),
            (std::vector<std::string>{"a@b.example 192.0.2.1 25 MiB: r 5 messages / 1h 5 12m ABC {x}"}));
  EXPECT_EQ(parsed("one\ntwo").render(facts, words), (std::vector<std::string>{"one", "two"}));
}

TEST(ReplyTemplate, SubstitutedBracesAreNoTemplate) {
  Connection connection;
  connection.helo = "{recipient}%s{{";
  EXPECT_EQ(parsed("<{helo}>").render({connection}, {}), (std::vector<std::string>{"<{recipient}%s{{>"}));
}

TEST(ReplyTemplate, ValuesAreCutWhereTheTableSays) {
  Connection connection;
  connection.helo = std::string(5000, 'h');
  EXPECT_EQ(parsed("{helo}").render({connection}, {}).front().size(), info(Fact::helo).longest);
  EXPECT_EQ(parsed("{helo}").longest_line(), info(Fact::helo).longest);
  EXPECT_EQ(parsed("short\nlonger line").longest_line(), 11U);
}

TEST(ReplyTemplate, MistakesHaveAPlace) {
  struct Row {
    const char* text;
    std::size_t at;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"a {recipent} b", 2}, {"a {", 2}, {"a } b", 2}, {"", 0}, {"a\n\nb", 2}, {"a\tb", 1}, {"gr\xc3\xbc", 2}}) {
    const auto result = ReplyTemplate::parse(row.text);
    const auto* mistakes = std::get_if<ReplyTemplate::Mistakes>(&result);
    ASSERT_NE(mistakes, nullptr) << row.text;
    ASSERT_EQ(mistakes->size(), 1U) << row.text;
    EXPECT_EQ(mistakes->front().at, row.at) << row.text;
    EXPECT_FALSE(mistakes->front().help.empty());
  }
}

TEST(ReplyTemplate, AllMistakesAreTold) {
  const auto result = ReplyTemplate::parse("{recipent} gr\xc3\xbc\xc3\x9f{e {usr}\n} \xc3\xbc {sendr}");
  const auto* mistakes = std::get_if<ReplyTemplate::Mistakes>(&result);
  ASSERT_NE(mistakes, nullptr);
  std::vector<std::size_t> places;
  for (const ReplyTemplate::Mistake& mistake : *mistakes) places.push_back(mistake.at);
  EXPECT_EQ(places, (std::vector<std::size_t>{0, 13, 17, 20, 26, 31}));
}

}  // namespace
}  // namespace replygate
