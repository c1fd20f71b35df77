#include "milter/door/wire/replies.h"

#include "milter/door/wire/packet.h"

namespace replygate::wire {
namespace {

void append(std::string& out, Reply reply, std::string_view data = {}) {
  append_packet(out, static_cast<char>(reply), data);
}

}  // namespace

void append_negotiation(std::string& out, const Negotiation& answer, std::span<const MacroWish> wishes) {
  std::string data;
  for (const std::uint32_t number : {answer.version, answer.actions, answer.steps}) append_u32(data, number);
  for (const MacroWish& wish : wishes) {
    append_u32(data, static_cast<std::uint32_t>(wish.stage));
    data += wish.names;
    data.push_back('\0');
  }
  append(out, Reply::negotiate, data);
}

void append_go_on(std::string& out) { append(out, Reply::go_on); }

void append_refusal(std::string& out, const replygate::Reply& reply) {
  std::string text;
  for (const char c : reply.wire()) text.append(c == '%' ? 2 : 1, c);
  text.push_back('\0');
  append(out, Reply::reply_code, text);
}

void append_progress(std::string& out) { append(out, Reply::progress); }

}  // namespace replygate::wire
