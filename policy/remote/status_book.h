#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "policy/remote/knowledge.h"
#include "policy/remote/status.h"

namespace replygate {

class StatusIndex;

enum class Confidence : std::uint8_t { code, provider, phrase, guess, none };
std::string_view to_string(Confidence confidence);

// What a status means. Texts of the knowledge are borrowed from the book.
struct Explained {
  Reason reason = Reason::unspecified;
  Confidence confidence = Confidence::none;
  std::optional<Severity>
      severity;               // first digit of the code, else of the enhanced code, else what report or wording say
  std::optional<bool> retry;  // whether sending the same again can succeed
  std::optional<std::int64_t> retry_after_s;
  std::optional<bool> dead;  // whether the address should be removed
  Fault fault = Fault::unknown;
  std::string_view matched;   // the part of the status's text that decided, or the code
  std::string_view provider;  // "" where none was recognised
  std::string_view source;
  std::vector<std::string_view> advice;
  bool is_status = true;  // false: neither a reply nor words that a refusal has
};

// The knowledge, ready to be asked. One object serves one thread: expressions are compiled when they are first needed.
class StatusBook {
 public:
  // What is wrong with an expression, where there is one that RE2 does not take.
  static tl::expected<std::unique_ptr<StatusBook>, std::string> create(Knowledge knowledge);
  ~StatusBook();

  // `status` must outlive the result. Time is linear in the length of its text, of which the first 4,000 octets count.
  Explained explain(const RemoteStatus& status);

  const Knowledge& knowledge() const;

 private:
  explicit StatusBook(Knowledge knowledge);
  std::unique_ptr<StatusIndex> index_;
};

// The text as expressions see it: in lower case, each octet of a mail address replaced by '@'; names that
// machines make, long numbers and IPv4 addresses lose what tells them apart. As long as the text.
std::string masked(std::string_view text);

}  // namespace replygate
