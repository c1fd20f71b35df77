#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>

namespace replygate {

// The fact `digest`: one value for all copies of a message, however they were addressed. It is made of the subject and
// of the body, kept apart, without regard to case, blanks, line ends and empty lines. The boundaries of MIME (RFC 2046
// §5.1.1), which mailers make anew for each copy, do not enter where a Content-Type has declared them; other headers do
// not enter at all. Used by one thread.
class ContentDigest {
 public:
  ContentDigest();
  ~ContentDigest();
  ContentDigest(const ContentDigest&) = delete;
  ContentDigest& operator=(const ContentDigest&) = delete;

  // A field of the message's header, folded or not; before the body.
  void header(std::string_view name, std::string_view value);
  void body(std::string_view octets);  // chunks may end anywhere

  // 32 hexadecimal digits. Ends the digest.
  std::string finish();

 private:
  struct Hash;  // of the library

  void add(std::string_view text);
  void begin_body();
  void end_line();
  void header_line(bool last);
  void end_field();
  bool is_boundary();
  void declare(std::string_view content_type);

  std::unique_ptr<Hash> hash_;
  std::string subject_;  // without case and blanks
  bool in_body_ = false;
  std::string line_;  // the present line, as it came; cut at its most
  bool cut_ = false;  // a part of the present line was added before
  bool in_part_header_ = false;
  std::string field_;  // the present field of a part's header, unfolded
  std::set<std::string, std::less<>> boundaries_;
};

}  // namespace replygate
