#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace replygate {

// The fact `digest`: one value for all copies of a message, however they were addressed. It is made of the subject and
// of the body without regard to case, blanks, line ends, empty lines and MIME boundaries, which mailers make anew for
// each copy; other headers do not enter. Used by one thread.
class ContentDigest {
 public:
  ContentDigest();
  ~ContentDigest();
  ContentDigest(const ContentDigest&) = delete;
  ContentDigest& operator=(const ContentDigest&) = delete;

  void header(std::string_view name, std::string_view value);
  void body(std::string_view octets);  // chunks may end anywhere

  // 32 hexadecimal digits. Ends the digest.
  std::string finish();

 private:
  struct Hash;  // of the library

  void end_line();

  std::unique_ptr<Hash> hash_;
  std::string line_;  // the present line, in lower case and without blanks; cut at its most
};

}  // namespace replygate
