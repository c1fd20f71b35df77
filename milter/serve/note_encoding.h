#pragma once

#include <string>
#include <string_view>

namespace replygate {

// A subject as a header field carries it: encoded words (RFC 2047) where it is not ASCII.
std::string encoded_subject(std::string_view subject);

struct EncodedBody {
  std::string fields;  // of the header: MIME-Version and what follows from the text, with CRLF
  std::string lines;   // with LF
};

// Text that passes any server: quoted-printable (RFC 2045 §6.7) where it is not ASCII or has long lines.
EncodedBody encoded_body(std::string_view text);

}  // namespace replygate
