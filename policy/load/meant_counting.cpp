#include "policy/load/meant_counting.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/load/meant.h"
#include "policy/load/meant_words.h"
#include "policy/mail/text.h"

namespace replygate {

std::string burst_help(const Node& node, bool bytes) {
  if (bytes) return "write for instance burst = \"10 MB\"";
  MeantWords words(node.string);
  const auto number = node.kind == Node::Kind::string ? words.number() : std::nullopt;
  return number && *number >= 1 ? fmt::format("write burst = {:.0f}", *number) : "write for instance burst = 50";
}

std::string meant_share(const Node& node) {
  if (node.kind == Node::Kind::integer)
    return node.integer > 0 && node.integer <= 100 ? fmt::format("{}%", node.integer) : "";
  if (node.kind == Node::Kind::real) {
    const bool sane = node.real > 0 && node.real <= 100;
    return sane ? fmt::format("{:.0f}%", node.real <= 1 ? node.real * 100 : node.real) : "";
  }
  return node.kind == Node::Kind::string ? meant_range(FactKind::percent, node.string) : "";
}

bool is_meant_unlimited(std::string_view text) {
  constexpr std::string_view kWords[] = {"none", "no",       "off",      "never",    "-1",
                                         "0",    "infinite", "infinity", "no limit", "nolimit"};
  constexpr std::string_view kUnlimited[] = {"unlimited"};
  if (text.starts_with(kUnlimited[0]) || text.find('/') != std::string_view::npos) return false;
  return std::ranges::find(kWords, text) != std::end(kWords) || !nearest(text, kUnlimited).empty();
}

}  // namespace replygate
