#include "policy/catalogue/reply.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "policy/catalogue/classes.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

std::string printable(std::string_view text, std::size_t most) {
  std::string line(text.substr(0, most));
  std::ranges::replace_if(line, [](char c) { return is_control(c) || !is_ascii(c); }, '?');
  return line;
}

}  // namespace

std::size_t prefix_size(EnhancedCode enhanced) { return 4 + enhanced.text().size() + 1; }

std::optional<Reply> Reply::make(int code, EnhancedCode enhanced, std::span<const std::string> lines,
                                 std::size_t reserve) {
  if (code < 400 || code > 599 || enhanced.severity != code / 100) return std::nullopt;
  Reply reply(code, enhanced);
  const std::size_t room = kMostOctets - 2 - prefix_size(enhanced);
  for (const std::string& line : lines.first(std::min(lines.size(), kMostLines))) {
    const std::size_t most = reply.lines_.empty() ? room - std::min(reserve, room / 2) : room;
    reply.lines_.push_back(printable(line, most));
    if (trim(reply.lines_.back()).empty()) reply.lines_.back().assign(1, '-');
  }
  if (reply.lines_.empty()) reply.lines_.emplace_back(enhanced.severity == 4 ? "Try again later" : "Refused");
  return reply;
}

std::string Reply::text() const { return fmt::format("{}", fmt::join(lines_, " ")); }

std::string Reply::wire() const {
  std::string wire;
  for (std::size_t i = 0; i < lines_.size(); ++i) {
    const bool last = i + 1 == lines_.size();
    wire += fmt::format("{}{}{} {}{}", code_, last ? ' ' : '-', enhanced_.text(), lines_[i], last ? "" : "\r\n");
  }
  return wire;
}

std::string Reply::one_line() const { return fmt::format("{} {} {}", code_, enhanced_.text(), text()); }

Reply default_reply(std::string_view slug) {
  const Classification& c = *find_classification(slug);
  const std::string text(c.text);
  return Reply::make(c.code, c.enhanced, {&text, 1}).value();
}

}  // namespace replygate
