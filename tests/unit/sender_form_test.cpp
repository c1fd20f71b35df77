#include "policy/mail/sender_form.h"

#include <gtest/gtest.h>

#include "policy/mail/subaddress.h"

namespace replygate {
namespace {

constexpr SenderForms kBatv = bit(SenderForm::batv);
constexpr SenderForms kSrs = bit(SenderForm::srs);
constexpr SenderForms kVerp = bit(SenderForm::verp);

TEST(SenderForm, BatvIsTheAddressThatWasTagged) {
  for (const std::string_view tagged : {"prvs=0123456789=user@a.example", "prvs=1999abcdef=user@a.example",
                                        "prvs=user=0123456789@a.example", "btv1==0123456789==user@a.example"}) {
    EXPECT_EQ(steady_sender(tagged, kBatv), "user@a.example") << tagged;
    EXPECT_EQ(steady_sender(tagged, kSrs), tagged);
  }
  for (const std::string_view other : {"prvs=@a.example", "prvs=user@a.example", "user@a.example"}) {
    EXPECT_EQ(steady_sender(other, kBatv), other);
  }
}

TEST(SenderForm, SrsIsTheAddressThatWasForwarded) {
  for (const std::string_view rewritten :
       {"srs0=hhh=tt=a.example=user@first.example", "srs0+hhhh=zz=a.example=user@first.example",
        "srs0-x=y=a.example=user@other.example", "srs1=ggg=first.example==hhh=tt=a.example=user@second.example",
        "srs1+g=first.example=+h=t=a.example=user@third.example", "SRS0=Hh=TT=a.example=user@first.example"}) {
    EXPECT_EQ(steady_sender(rewritten, kSrs), "user@a.example") << rewritten;
  }
  EXPECT_EQ(steady_sender("srs0=h=t=a.example=x=y@first.example", kSrs), "x=y@a.example");
  EXPECT_EQ(steady_sender("srs0=h=t=a.example=prvs=0123456789=user@f.example", kSrs | kBatv), "user@a.example");
  for (const std::string_view other :
       {"srs0@a.example", "srs0=h=t=@a.example", "srs1=h=x@a.example", "srs@a.example"}) {
    EXPECT_EQ(steady_sender(other, kSrs), other);
  }
}

TEST(SenderForm, VerpIsTheListsAddress) {
  EXPECT_EQ(steady_sender("bounce-1001-user=b.example@list.example", kVerp), "bounce@list.example");
  EXPECT_EQ(steady_sender("bounce-1002-abcdef@list.example", kVerp), "bounce@list.example");
  EXPECT_EQ(steady_sender("news-bounces+jean-luc=b.example@list.example", kVerp), "news-bounces@list.example");
  EXPECT_EQ(steady_sender("news-return-77-jean=b.example@list.example", kVerp), "news-return@list.example");
  EXPECT_EQ(steady_sender("m-42-a=b.example@list.example", kVerp),
            steady_sender("m-43-c=d.example@list.example", kVerp));
  EXPECT_EQ(steady_sender("news-a=b.example@list.example", kVerp), "news@list.example");
  EXPECT_EQ(steady_sender("0102018abcdef012-000000@mail.example", kVerp),
            steady_sender("0102019fedcba987-000001@mail.example", kVerp));
  for (const std::string_view other : {"user@a.example", "first.last@a.example", "\"a=b c\"@a.example", ""}) {
    EXPECT_EQ(steady_sender(other, kVerp), other);
  }
}

TEST(Subaddress, TheFirstSeparatorBeginsTheTag) {
  EXPECT_EQ(without_tag("user+tag@a.example", "+"), "user@a.example");
  EXPECT_EQ(without_tag("user+a+b@a.example", "+"), "user@a.example");
  EXPECT_EQ(without_tag("user-a+b@a.example", "+-"), "user@a.example");
  EXPECT_EQ(without_tag("user+tag", "+"), "user");
  for (const std::string_view whole :
       {"user@a.example", "+user@a.example", "user@a+b.example", "\"a b+c\"@a.example", ""}) {
    EXPECT_EQ(without_tag(whole, "+"), whole);
  }
}

}  // namespace
}  // namespace replygate
