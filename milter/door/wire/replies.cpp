#include "milter/door/wire/replies.h"

#include "milter/door/wire/packet.h"

namespace replygate::wire {
namespace {

void append(std::string& out, Reply reply, std::string_view data = {}) {
  append_packet(out, static_cast<char>(reply), data);
}

std::string_view until_nul(std::string_view text) { return text.substr(0, text.find('\0')); }

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

void append_add_header(std::string& out, std::string_view name, std::string_view value) {
  std::string data(until_nul(name));
  data.push_back('\0');
  data += until_nul(value);
  data.push_back('\0');
  append(out, Reply::add_header, data);
}

void append_quarantine(std::string& out, std::string_view reason) {
  std::string data(until_nul(reason));
  data.push_back('\0');
  append(out, Reply::quarantine, data);
}

void append_discard(std::string& out) { append(out, Reply::discard); }

void append_progress(std::string& out) { append(out, Reply::progress); }

}  // namespace replygate::wire
