// Whatever a template parses to renders into replies that keep every promise of Reply, with hostile values.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "policy/catalogue/reply.h"
#include "policy/rules/template.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace replygate;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t half = input.find('\0');
  const auto parsed = ReplyTemplate::parse(input.substr(0, half));
  if (!std::holds_alternative<ReplyTemplate>(parsed)) return 0;
  const auto& text = std::get<ReplyTemplate>(parsed);
  const std::string_view hostile = half == std::string_view::npos ? "" : input.substr(half);
  Connection connection;
  connection.helo = hostile;
  connection.name = hostile;
  Transaction transaction;
  transaction.user = hostile;
  Recipient recipient;
  recipient.address = {Address::Form::mailbox, std::string(hostile) + "@x", hostile.size()};
  const auto lines = text.render({connection, &transaction, &recipient}, {hostile, hostile, hostile, hostile, hostile});
  for (const std::string& line : lines) {
    if (line.size() > text.longest_line()) std::abort();
  }
  const auto reply = Reply::make(550, {5, 7, 1}, lines);
  if (!reply || reply->lines().empty()) std::abort();
  for (const std::string& line : reply->lines()) {
    if (line.empty() || line.size() + prefix_size(reply->enhanced()) + 2 > Reply::kMostOctets) std::abort();
    for (const char c : line) {
      if (c < 0x20 || c > 0x7e) std::abort();
    }
  }
  return 0;
}
