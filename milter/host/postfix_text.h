#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// How main.cf writes things down.
namespace replygate {

// Words parted by commas and blanks; what stands in braces is one.
std::vector<std::string> postfix_words(std::string_view text);
// The same as one word without blanks, as `postconf -P` takes it.
std::string postfix_joined(const std::vector<std::string>& words, std::string_view between = ", ");
// "{ a, b }" without its braces.
std::string_view without_braces(std::string_view word);

std::int64_t postfix_number(std::string_view text, std::int64_t standard);
// "30s", "5m"; a bare number is of seconds.
std::int64_t postfix_seconds(std::string_view text);

// A milter or a policy service: its address, as Postfix takes it, and what is set for it alone.
struct PostfixServer {
  std::string address;  // "inet:127.0.0.1:8891"
  std::map<std::string, std::string> options;

  std::string text() const;  // "{ inet:127.0.0.1:8891, default_action=tempfail }"
  bool operator==(const PostfixServer&) const = default;
};
PostfixServer postfix_server(std::string_view word);
std::vector<PostfixServer> postfix_milters(std::string_view text);
std::string postfix_text(const std::vector<PostfixServer>& milters);

}  // namespace replygate
