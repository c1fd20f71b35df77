#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policy/rules/answers.h"

// The words of Postfix's socketmap protocol, socketmap_table(5). Pure; any thread.
namespace replygate {

// "5:hello,".
std::string netstring(std::string_view text);

// The netstring that `octets` begins with.
struct Netstring {
  enum class State { whole, wanting, wrong };
  State state = State::wanting;
  std::string_view text;   // of a whole one, within `octets`
  std::size_t octets = 0;  // that it takes
};
Netstring read_netstring(std::string_view octets, std::size_t longest);

// What a reply means: "OK value", "NOTFOUND ", or a failure, which `why` then tells.
LiveAnswer meaning_of_socketmap_reply(std::string_view reply, std::string& why);

}  // namespace replygate
