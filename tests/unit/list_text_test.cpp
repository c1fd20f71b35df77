#include "policy/mail/list_text.h"

#include <gtest/gtest.h>

#include "policy/mail/tls_version.h"

namespace replygate {
namespace {

TEST(ListText, CommentsBeginBehindABlank) {
  for (const auto& [line, entry] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"a@b.example # why", "a@b.example"},
           {"  # all of it", ""},
           {"#", ""},
           {"tag#1@b.example", "tag#1@b.example"},
           {"/a#b/", "/a#b/"},
           {"/a #b/", "/a #b/"},
           {"/a#b/ # and/or why", "/a#b/"},
           {"/a #b/\t#why", "/a #b/"},
           {"/never closed # why", "/never closed # why"},
           {"\"a #b\"@c.example # why", "\"a #b\"@c.example"},
           {"5\" # why", "5\""},
           {"x\r", "x"}}) {
    EXPECT_EQ(without_comment(line), entry) << line;
  }
}

TEST(ListText, TheMarkOfAnEditorIsNoText) {
  EXPECT_EQ(without_byte_order_mark("\xef\xbb\xbf"
                                    "a\n"),
            "a\n");
  EXPECT_EQ(without_byte_order_mark("a"), "a");
  EXPECT_TRUE(
      is_utf16(std::string_view("\xff\xfe"
                                "a\0",
                                4)));
  EXPECT_FALSE(is_utf16("a"));
}

TEST(TlsVersion, IsOrdered) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(versions_allowed("< TLSv1.2"), (Names{"sslv2", "sslv3", "tlsv1", "tlsv1.1"}));
  EXPECT_EQ(versions_allowed("<=TLSv1"), (Names{"sslv2", "sslv3", "tlsv1"}));
  EXPECT_EQ(versions_allowed("> tlsv1.1"), (Names{"tlsv1.2", "tlsv1.3"}));
  EXPECT_EQ(versions_allowed(">= TLSv1.3"), (Names{"tlsv1.3"}));
  EXPECT_EQ(versions_allowed("TLSv1..TLSv1.1"), (Names{"tlsv1", "tlsv1.1"}));
  EXPECT_EQ(versions_allowed("!= TLSv1.3"), (Names{"sslv2", "sslv3", "tlsv1", "tlsv1.1", "tlsv1.2"}));
  EXPECT_EQ(versions_allowed(""), (Names{""}));
  EXPECT_EQ(versions_allowed("< SSLv2"), Names{});
  for (const std::string_view wrong : {"TLS1.2", "TLSv1.0", "TLSv12", "1.2", "> ", "=> TLSv1.2", "TLSv1.3..TLSv1"}) {
    EXPECT_EQ(versions_allowed(wrong), std::nullopt) << wrong;
  }
}

}  // namespace
}  // namespace replygate
