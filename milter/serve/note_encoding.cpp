#include "milter/serve/note_encoding.h"

#include <fmt/format.h>
#include <gmime/gmime.h>

#include <algorithm>
#include <memory>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::size_t kLongestLine = 998;  // RFC 5322 §2.1.1

bool is_plain(std::string_view text) {
  std::size_t length = 0;
  return std::ranges::all_of(text, [&length](char c) {
    length = c == '\n' ? 0 : length + 1;
    return is_ascii(c) && length <= kLongestLine;
  });
}

std::string quoted_printable(std::string_view text) {
  GMimeEncoding encoding;
  g_mime_encoding_init_encode(&encoding, GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE);
  std::string encoded(g_mime_encoding_outlen(&encoding, text.size()), '\0');
  encoded.resize(g_mime_encoding_flush(&encoding, text.data(), text.size(), encoded.data()));
  return encoded;
}

}  // namespace

std::string encoded_subject(std::string_view subject) {
  if (is_plain(subject)) return std::string(subject);
  const std::unique_ptr<char, decltype(&g_free)> encoded(
      g_mime_utils_header_encode_text(nullptr, std::string(subject).c_str(), "utf-8"), &g_free);
  return encoded.get();
}

EncodedBody encoded_body(std::string_view text) {
  const bool plain = is_plain(text);
  constexpr std::string_view kFields =
      "MIME-Version: 1.0\r\nContent-Type: text/plain; charset={}\r\nContent-Transfer-Encoding: {}\r\n";
  if (plain) return {fmt::format(kFields, "us-ascii", "7bit"), std::string(text)};
  return {fmt::format(kFields, "utf-8", "quoted-printable"), quoted_printable(text)};
}

}  // namespace replygate
