// Any octets are a request or none; an answer is one line and permits nothing.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "milter/door/delegation_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto request = parse_delegation_request(text);
  if (!request) return 0;
  const std::vector<std::string> lines = {request->rcpt.recipient, request->helo};
  const std::string reply = delegation_reply({Reply::make(571, {5, 7, 1}, lines)});
  if (!reply.starts_with("action=571 5.7.1 ") || reply.find('\n') != reply.size() - 2) std::abort();
  return 0;
}
