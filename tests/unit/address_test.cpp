#include "policy/mail/address.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

#include <string>
#include <string_view>

#include "policy/rules/match.h"

namespace replygate {
namespace {

// What must become of an address: our own mailbox, a foreign one, or malformed.
enum class Kind { own, foreign, malformed };

struct Row {
  int number;
  std::string_view written;
  Kind kind;
  std::string_view canonical;
};

using enum Kind;
using namespace std::string_view_literals;

// The spellings that have opened relays or split keys, with ours.example as our domain and relayed.example relayed.
const Row kRows[] = {
    {1, "user@ours.example", own, "user@ours.example"},
    {2, "USER@OURS.Example", own, "user@ours.example"},
    {3, "user@ours.example.", own, "user@ours.example"},
    {4, "user@ours.example..", malformed, ""},
    {5, "user@sub.ours.example", foreign, "user@sub.ours.example"},
    {6, "user@relayed.example", own, "user@relayed.example"},
    {7, "user@x.relayed.example", foreign, "user@x.relayed.example"},
    {8, "user@other.example", foreign, "user@other.example"},
    {9, "user%other.example@ours.example", foreign, "user@other.example"},
    {10, "user%other.example", foreign, "user@other.example"},
    {11, "user%relayed.example@ours.example", own, "user@relayed.example"},
    {12, "user%other.example%third.example@ours.example", foreign, "user%other.example@third.example"},
    {13, "\"user%other.example\"@ours.example", foreign, "user@other.example"},
    {14, "other.example!user", foreign, "user@other.example"},
    {15, "other.example!user@ours.example", foreign, "user@other.example"},
    {16, "ours.example!other.example!user", foreign, "user@other.example"},
    {17, "\"other.example!user\"@ours.example", foreign, "user@other.example"},
    {18, "@ours.example:user@other.example", foreign, "user@other.example"},
    {19, "@other.example:user@ours.example", own, "user@ours.example"},
    {20, "@ours.example,@a.example:user@other.example", foreign, "user@other.example"},
    {21, "@ours.example:user%third.example@ours.example", foreign, "user@third.example"},
    {22, "@other.example:user%third.example@ours.example", foreign, "user@third.example"},
    {23, "\"user@other.example\"@ours.example", foreign, "user@other.example"},
    {24, "user@other.example@ours.example", malformed, ""},
    {25, "user@ours.example@other.example", malformed, ""},
    {26, "\"user@other.example\"", foreign, "user@other.example"},
    {27, "\"user\"@other.example", foreign, "user@other.example"},
    {28, "\"user\\@other.example\"@ours.example", foreign, "user@other.example"},
    {29, "\"\\user\"@ours.example", own, "user@ours.example"},
    {30, "us\\er@ours.example", own, "user@ours.example"},
    {31, "\"us er\"@ours.example", own, "\"us er\"@ours.example"},
    {32, "user@[127.0.0.1]", foreign, "user@[127.0.0.1]"},
    {33, "user@[10.1.2.3]", foreign, "user@[10.1.2.3]"},
    {34, "user@127.0.0.1", malformed, ""},
    {35, "user@[IPv6:::1]", foreign, "user@[ipv6:::1]"},
    {36, "user@[IPv6:::ffff:127.0.0.1]", foreign, "user@[127.0.0.1]"},
    {37, "user@[::ffff:127.0.0.1]", malformed, ""},
    {38, "user@#2130706433", malformed, ""},
    {39, "user%other.example@[192.0.2.99]", foreign, "user@other.example"},
    {40, "user@[ours.example]", malformed, ""},
    {41, "user", own, "user@ours.example"},
    {42, "postmaster", own, "postmaster@ours.example"},
    {43, "Postmaster@", malformed, ""},
    {43, "user@", malformed, ""},
    {44, "@ours.example", malformed, ""},
    {45, "\"\"", malformed, ""},
    {46, "user+tag@ours.example", own, "user+tag@ours.example"},
    {47, "user;other@ours.example", malformed, ""},
    {48, "user|cat@ours.example", own, "user|cat@ours.example"},
    {49, "user@ours.example:25", malformed, ""},
    {50, "user @ours.example", own, "user@ours.example"},
    {50, "user@ours .example", own, "user@ours.example"},
    {50, "user\t@ours.example", own, "user@ours.example"},
    {51, "user@ours.example\0@other.example"sv, malformed, ""},
    {52, "user\x01@ours.example", own, "\"user\x01\"@ours.example"},
    {53, "us\xc3\xa9r@ours.example", own, "us\xc3\xa9r@ours.example"},
    {54, "user@\xc3\xb6urs.example", foreign, "user@xn--urs-rna.example"},
    {54, "user@\xc3\x96URS.example", foreign, "user@xn--urs-rna.example"},
    {54, "user@xn--urs-rna.example", foreign, "user@xn--urs-rna.example"},
    {55,
     "user@ours\xe3\x80\x82"
     "example",
     foreign,
     "user@ours\xe3\x80\x82"
     "example"},
    {56, "user@\xef\xbd\x8furs.example", foreign, "user@\xef\xbd\x8furs.example"},
    {57, "user@our\xc5\xbf.example", foreign, "user@our\xc5\xbf.example"},
    {58, "user@ours\xe2\x80\x8b.example", foreign, "user@ours\xe2\x80\x8b.example"},
    {58, "user@ours\xc2\xad.example", foreign, "user@ours\xc2\xad.example"},
    {59, "user@ours..example", malformed, ""},
    {59, "user@.ours.example", malformed, ""},
    {60, "user@-ours.example", malformed, ""},
    {61, "user@ours_.example", foreign, "user@ours_.example"},
    {65, "user@localhost", own, "user@localhost"},
    {65, "user@mx.ours.example.", own, "user@mx.ours.example"},
    {66, "user%other.example@localhost", foreign, "user@other.example"},
    {66, "user%other.example@mx.ours.example", foreign, "user@other.example"},
    {67, "user@other.example.ours.example", foreign, "user@other.example.ours.example"},
    {68, "user@ours.example.other.example", foreign, "user@ours.example.other.example"},
    {69, "user@oursXexample", foreign, "user@oursxexample"},
    {70, "user(comment)@ours.example", own, "user@ours.example"},
    {70, "user@(comment)ours.example", own, "user@ours.example"},
    {71, "Name <user@other.example>", foreign, "user@other.example"},
    {72, "user@other.example, user@ours.example", malformed, ""},
};

class AddressTest : public ::testing::Test {
 protected:
  AddressTest() {
    for (const char* domain : {"ours.example", "localhost", "mx.ours.example", "[192.0.2.99]"})
      local_.add_exact(domain);
    relayed_.add_exact("relayed.example");
  }

  Address parse(std::string_view text) const {
    return canonical_address(text, {.default_domain = "ours.example",
                                    .is_local = [this](std::string_view d) { return local_.contains(d); }});
  }

  Kind kind_of(const Address& address) const {
    if (address.form == Address::Form::malformed) return malformed;
    return local_.contains(address.domain()) || relayed_.contains(address.domain()) ? own : foreign;
  }

  TextSet local_;
  TextSet relayed_;
};

TEST_F(AddressTest, EverySpellingIsWhatTheMtaWouldMakeOfIt) {
  for (const Row& row : kRows) {
    const Address address = parse('<' + std::string(row.written) + '>');
    EXPECT_EQ(kind_of(address), row.kind) << row.number << ' ' << row.written;
    EXPECT_EQ(address.full, row.canonical) << row.number << ' ' << row.written;
  }
}

TEST_F(AddressTest, BracketsMakeNoDifference) {
  for (const Row& row : kRows) {
    EXPECT_EQ(parse(row.written), parse('<' + std::string(row.written) + '>')) << row.number << ' ' << row.written;
  }
}

TEST_F(AddressTest, NoForeignMailboxSharesAKeyWithOurs) {
  for (const Row& a : kRows) {
    for (const Row& b : kRows) {
      if (a.kind == own && b.kind == foreign) {
        EXPECT_NE(parse(a.written).full, parse(b.written).full) << a.number << ' ' << b.number;
      }
    }
  }
}

TEST_F(AddressTest, CanonicalFormIsAFixedPoint) {
  for (const Row& row : kRows) {
    const Address once = parse(row.written);
    if (once.form == Address::Form::mailbox && once.local().find('\x01') == std::string_view::npos) {
      EXPECT_EQ(parse(once.full).full, once.full) << row.number;
    }
  }
}

TEST_F(AddressTest, LabelsAndDomainsHaveTheirLengths) {
  EXPECT_EQ(kind_of(parse("user@" + std::string(63, 'a') + ".example")), foreign);        // row 62
  EXPECT_EQ(kind_of(parse("user@" + std::string(64, 'a') + ".example")), malformed);      // row 62
  EXPECT_EQ(kind_of(parse(fmt::format("{}@ours.example", std::string(65, 'u')))), own);   // row 63
  EXPECT_EQ(kind_of(parse(fmt::format("{}@ours.example", std::string(300, 'u')))), own);  // row 63
  std::string domain = "a";
  while (domain.size() < 256) domain += ".aaaaaaa";
  EXPECT_EQ(kind_of(parse("user@" + domain)), malformed);  // row 64
}

// Words that a blank or a comment parts are two, and no address has two.
TEST_F(AddressTest, WordsAreNotPutTogether) {
  for (const char* text : {"us er@ours.example", "user@ou rs.example", "user@ours.exam\tple", "user@our(c)s.example",
                           "us(c)er@ours.example", "\"us\" er@ours.example", "user@ours.example evil"}) {
    EXPECT_EQ(kind_of(parse(text)), malformed) << text;
  }
  for (const char* text :
       {"user @ ours . example", "(c)user@ours.example(c)", "user(c)@(c)ours(c).(c)example", " user@ours.example "}) {
    EXPECT_EQ(parse(text).full, "user@ours.example") << text;
  }
}

TEST_F(AddressTest, NullSenders) {
  for (const char* text : {"<>", "", "<<>>", "< >"}) EXPECT_EQ(parse(text).form, Address::Form::null) << text;
  EXPECT_EQ(parse("<MAILER-DAEMON>").full, "mailer-daemon@ours.example");
}

TEST_F(AddressTest, Senders) {
  EXPECT_EQ(parse("< a@c.example >").full, "a@c.example");
  EXPECT_EQ(parse("<@r.example:a@c.example>").full, "a@c.example");
  EXPECT_EQ(parse("<A.B+x@C.EXAMPLE.>").full, "a.b+x@c.example");
  EXPECT_EQ(parse("<b.example!a>").full, "a@b.example");
}

TEST_F(AddressTest, PartsAreViewsOfTheWhole) {
  const Address address = parse("<\"us er\"@Ours.Example>");
  EXPECT_EQ(address.local(), "\"us er\"");
  EXPECT_EQ(address.domain(), "ours.example");
  EXPECT_EQ(parse("<>").domain(), "");
  EXPECT_EQ(parse("<@>").local(), "");
}

// The short way of plain addresses and the long one, which a blank in front leads to, agree.
TEST(Address, PlainOnesAreReadAsAllOthers) {
  constexpr std::string_view kOctets = "ab.+-_=!%@@<>\"\\ ()[]:;,'*#AZ0\x80\x01";
  const AddressContext context{.default_domain = "here.example",
                               .is_local = [](std::string_view domain) { return domain.starts_with("a"); },
                               .subaddress = "+-"};
  std::mt19937 random(5321);
  std::size_t mailboxes = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string raw;
    for (auto left = random() % 14; left > 0; --left) raw += kOctets[random() % kOctets.size()];
    if (random() % 2 == 0) raw += "@a.b";
    if (random() % 2 == 0) raw = '<' + raw + '>';
    const Address address = canonical_address(raw, context);
    EXPECT_EQ(address, canonical_address(' ' + raw, context)) << raw;
    mailboxes += address.form == Address::Form::mailbox ? 1 : 0;
  }
  EXPECT_GT(mailboxes, 2000U);
}

}  // namespace
}  // namespace replygate
