#include "policy/mail/digest.h"

#include <gtest/gtest.h>

#include <initializer_list>

namespace replygate {
namespace {

std::string digest_of(std::string_view subject, std::initializer_list<std::string_view> chunks,
                      std::string_view content_type = "") {
  ContentDigest digest;
  if (!subject.empty()) digest.header("Subject", subject);
  digest.header("Message-ID", subject);
  if (!content_type.empty()) digest.header("Content-Type", content_type);
  for (const std::string_view chunk : chunks) digest.body(chunk);
  return digest.finish();
}

TEST(Digest, CopiesAreEqual) {
  const std::string one = digest_of("Win a  prize", {"Click HERE\r\n\r\nnow\r\n"});
  EXPECT_EQ(one.size(), 32U);
  EXPECT_EQ(digest_of("win a prize", {"click here\n", "\n\nno", "w"}), one);
  EXPECT_EQ(digest_of("win\r\n a prize", {"click here\nnow"}), one);
  EXPECT_NE(digest_of("win a prize", {"click there\r\nnow\r\n"}), one);
  EXPECT_NE(digest_of("win two prizes", {"click here\r\nnow\r\n"}), one);
  EXPECT_NE(digest_of("win a prize", {"click\r\nhere\r\nnow\r\n"}), one);
}

TEST(Digest, WhereAChunkEndsDoesNotMatter) {
  const std::string_view type = "multipart/mixed; boundary=x";
  const std::string body =
      "one line\r\n--x\r\nContent-Type: text/plain;\r\n charset=utf-8\r\n\r\nanother\r\n--x--\r\nlast";
  const std::string whole = digest_of("s", {body}, type);
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    EXPECT_EQ(digest_of("s", {std::string_view(body).substr(0, cut), std::string_view(body).substr(cut)}, type), whole)
        << cut;
  }
}

TEST(Digest, SubjectAndBodyAreApart) {
  const std::string one = digest_of("a", {"b\r\n"});
  EXPECT_NE(digest_of("", {"a\r\nb\r\n"}), one);
  EXPECT_NE(digest_of("a\nb", {""}), one);
  EXPECT_NE(digest_of("ab", {""}), digest_of("", {"ab"}));
}

TEST(Digest, LinesWithDashesAreContent) {
  const std::string nothing = digest_of("", {});
  EXPECT_EQ(digest_of("", {"\r\n \r\n"}), nothing);
  for (const std::string_view type : {"", "multipart/mixed; boundary=x"}) {
    for (const std::string_view body :
         {"--\r\n", "-- \r\n", "--x\r\n", "--x--\r\n", "--a\r\n--b\r\n", "--buy this now\r\n"}) {
      EXPECT_NE(digest_of("", {body}, type), nothing) << body;
    }
  }
  EXPECT_NE(digest_of("", {"--buy this\r\n"}), digest_of("", {"--buy that\r\n"}));
  EXPECT_NE(digest_of("", {"x boundary=1\r\n"}), digest_of("", {"x boundary=2\r\n"}));
}

// As a mailer writes it, with boundaries that are new in each copy.
std::string multipart(std::string_view outer, std::string_view inner, std::string_view text) {
  const std::string o = "--" + std::string(outer);
  const std::string i = "--" + std::string(inner);
  const std::string body = o + "\r\nContent-Type: multipart/alternative;\r\n\tboundary=\"" + std::string(inner) +
                           "\"\r\n\r\n" + i + "\r\nContent-Type: text/plain\r\n\r\n" + std::string(text) + "\r\n" + i +
                           "--\r\n" + o + "\r\nContent-Type: image/png\r\n\r\niVBORw0\r\n" + o + "--\r\n";
  return digest_of("s", {body}, "Multipart/Mixed; charset=utf-8;\r\n Boundary=\"" + std::string(outer) + "\"");
}

TEST(Digest, DeclaredBoundariesDoNotMatter) {
  const std::string one = multipart("=_a (1)", "b'2", "buy now");
  EXPECT_EQ(multipart("=_c (3)", "d'4", "buy now"), one);
  EXPECT_NE(multipart("=_a (1)", "b'2", "buy later"), one);
}

// A line is cut somewhere, which must not show.
TEST(Digest, LongLines) {
  const std::string line(10000, 'x');
  EXPECT_EQ(digest_of("", {line}), digest_of("", {"  " + line + "\r\n"}));
  EXPECT_NE(digest_of("", {line}), digest_of("", {line + 'x'}));
}

}  // namespace
}  // namespace replygate
