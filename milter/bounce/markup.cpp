#include "milter/bounce/markup.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kEntities{
    {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&nbsp;", " "}, {"&apos;", "'"}}};

std::string_view name_of_tag(std::string_view tag) {
  if (tag.starts_with('/')) tag.remove_prefix(1);
  std::size_t end = 0;
  while (end < tag.size() && (is_alpha(tag[end]) || is_digit(tag[end]))) ++end;
  return tag.substr(0, end);
}

bool ends_line(std::string_view name) {
  constexpr std::array<std::string_view, 9> kNames{"br", "p", "div", "tr", "li", "h1", "h2", "h3", "td"};
  return std::ranges::any_of(kNames, [&](std::string_view n) { return equal_ignoring_case(n, name); });
}

// Where the text goes on behind a tag, and behind what is no text at all.
std::size_t end_of_tag(std::string_view html, std::size_t open, std::string_view name) {
  const bool hidden = equal_ignoring_case(name, "style") || equal_ignoring_case(name, "script");
  std::size_t end = html.find('>', open);
  if (hidden && html.substr(open + 1, 1) != "/") end = html.find("</", open);
  return end == std::string_view::npos ? html.size() : end + (hidden && html.substr(end, 2) == "</" ? 0 : 1);
}

std::pair<std::string_view, std::size_t> entity_at(std::string_view rest) {
  for (const auto& [written, meant] : kEntities) {
    if (rest.starts_with(written)) return {meant, written.size()};
  }
  return {rest.substr(0, 1), 1};
}

}  // namespace

std::string without_markup(std::string_view html) {
  std::string text;
  text.reserve(html.size());
  for (std::size_t i = 0; i < html.size();) {
    if (html[i] == '<' && (is_alpha(html.substr(i + 1, 1).empty() ? ' ' : html[i + 1]) ||
                           html.substr(i + 1, 1) == "/" || html.substr(i + 1, 1) == "!")) {
      const std::string_view name = name_of_tag(html.substr(i + 1, 16));
      if (ends_line(name)) text += '\n';
      i = end_of_tag(html, i, name);
      continue;
    }
    const auto [meant, length] =
        html[i] == '&' ? entity_at(html.substr(i)) : std::pair{html.substr(i, 1), std::size_t{1}};
    text += meant;
    i += length;
  }
  return text;
}

}  // namespace replygate
