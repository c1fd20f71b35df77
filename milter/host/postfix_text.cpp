#include "milter/host/postfix_text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "policy/mail/text.h"

namespace replygate {

std::vector<std::string> postfix_words(std::string_view text) {
  std::vector<std::string> words(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (depth == 0 && (c == ',' || is_blank(c) || c == '\n')) {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

std::string postfix_joined(const std::vector<std::string>& words, std::string_view between) {
  return fmt::format("{}", fmt::join(words, between));
}

std::string_view without_braces(std::string_view word) {
  if (!word.starts_with('{') || !word.ends_with('}')) return word;
  return trim(word.substr(1, word.size() - 2));
}

std::int64_t postfix_number(std::string_view text, std::int64_t standard) {
  std::int64_t number = standard;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::int64_t postfix_seconds(std::string_view text) {
  const std::int64_t number = postfix_number(text, 0);
  const char unit = text.empty() ? 's' : text.back();
  return number * (unit == 'm' ? 60 : unit == 'h' ? 3600 : unit == 'd' ? 86400 : 1);
}

std::string PostfixServer::text() const {
  if (options.empty()) return address;
  std::string text = "{ " + address;
  for (const auto& [name, value] : options) text += fmt::format(", {}={}", name, value);
  return text + " }";
}

PostfixServer postfix_server(std::string_view word) {
  PostfixServer server;
  for (const std::string& part : postfix_words(without_braces(word))) {
    const std::size_t equals = part.find('=');
    if (server.address.empty()) {
      server.address = part;
    } else if (equals != std::string::npos) {
      server.options[part.substr(0, equals)] = without_braces(std::string_view(part).substr(equals + 1));
    }
  }
  return server;
}

std::vector<PostfixServer> postfix_milters(std::string_view text) {
  std::vector<PostfixServer> milters;
  for (const std::string& word : postfix_words(text)) milters.push_back(postfix_server(word));
  return milters;
}

std::string postfix_text(const std::vector<PostfixServer>& milters) {
  std::vector<std::string> words;
  for (const PostfixServer& milter : milters) words.push_back(milter.text());
  return postfix_joined(words);
}

}  // namespace replygate
