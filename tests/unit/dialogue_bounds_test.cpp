// What one connection may take.

#include <gtest/gtest.h>

#include "tests/support/dialogue.h"

namespace replygate::test {
namespace {

TEST(Dialogue, AnEndlessMessageIsBounded) {
  World world("[milter]\nmax_session_memory = \"1 MiB\"\n");
  Mta mta(world);
  mta.begin();
  mta.hear(mail_packet("<a@x.example>"));
  const std::string recipient = rcpt_packet("<" + std::string(60, 'r') + "@x.example>");
  std::string heard;
  int taken = 0;
  while ((heard = mta.say(recipient)) == "c" && taken < 100000) ++taken;
  EXPECT_EQ(heard, "452 4.3.1 Insufficient system storage");
  EXPECT_GT(taken, 500);
  EXPECT_LT(taken, 10000);
  EXPECT_EQ(mta.say(packet('E')), "c") << "what was taken is not lost";
  EXPECT_EQ(mta.say(mail_packet("<a@x.example>")), "c");
  EXPECT_EQ(mta.say(recipient), "c");
}

TEST(Dialogue, MacrosAreBounded) {
  World world("[milter]\nmax_session_memory = \"1 MiB\"\n");
  Mta mta(world);
  mta.begin();
  mta.hear(packet('D', std::string(500000, 'M')));
  EXPECT_EQ(mta.next, Next::read);
  mta.hear(packet('D', std::string(900000, 'R')));
  EXPECT_EQ(mta.next, Next::close);
  EXPECT_EQ(mta.dialogue().problem(), "macros beyond max_session_memory");
}

TEST(Dialogue, ThousandRecipientsAreEachJudged) {
  World world(R"(
[[rule]]
name = "allowed"
when = { recipient = "r500@x.example" }
accept = true
[[rule]]
name = "closed"
reply = 550
when = { recipient = "*@x.example" }
)");
  Mta mta(world);
  mta.begin();
  mta.hear(mail_packet("<a@x.example>"));
  int kept = 0;
  for (int i = 0; i < 1000; ++i) {
    kept += static_cast<int>(mta.say(rcpt_packet("<r" + std::to_string(i) + "@x.example>")) == "c");
  }
  EXPECT_EQ(kept, 1);
  EXPECT_EQ(mta.say(packet('E')), "c");
  EXPECT_EQ(last_record(world)["recipients"].as_array().size(), 1000U);
}

}  // namespace
}  // namespace replygate::test
