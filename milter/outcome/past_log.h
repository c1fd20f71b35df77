#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "milter/descriptor.h"
#include "milter/outcome/line_cutter.h"
#include "policy/base/time.h"

struct archive;

namespace replygate {

// A log that is over: a file, plain or compressed (gzip, xz, Zstandard, bzip2), or what a pipe brings. One thread.
class PastLog {
 public:
  // "-" is standard input. On failure the reason, for people.
  static tl::expected<std::unique_ptr<PastLog>, std::string> open(const std::string& path);
  // `path`: what it is called.
  static tl::expected<std::unique_ptr<PastLog>, std::string> open(std::unique_ptr<Descriptor> file,
                                                                  const std::string& path);

  // Hands some lines on, each to `take(line)`. False: there are no more, or what follows cannot be read.
  template <typename Take>
  bool read(Take&& take) {
    const std::string_view some = octets();
    if (some.empty()) {
      lines_.finish(take);
      return false;
    }
    lines_.cut(some, take);
    return true;
  }

  // Or some octets, as they come; "" where read() says false. They live until the next call.
  std::string_view octets();

  const std::string& trouble() const { return trouble_; }  // why it ended early; "" where it did not
  std::int64_t consumed() const;                           // octets of the file
  std::int64_t size() const { return size_; }              // of the file; 0 of a pipe
  Instant written() const { return written_; }             // last

 private:
  struct Close {
    void operator()(archive* a) const;
  };
  PastLog() = default;
  void begin();

  std::string path_;
  std::unique_ptr<Descriptor> file_;  // the archive does not close it
  std::unique_ptr<archive, Close> archive_;
  std::string block_;
  LineCutter lines_;
  std::string trouble_;
  std::int64_t size_ = 0;
  Instant written_{};
  bool over_ = false;
};

}  // namespace replygate
