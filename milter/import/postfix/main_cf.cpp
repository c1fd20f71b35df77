#include "milter/import/postfix/main_cf.h"

#include <algorithm>
#include <utility>

#include "policy/mail/text.h"

namespace replygate::import::postfix {
namespace {

constexpr int kMostExpansions = 10000;  // of one value
constexpr int kDeepest = 8;
constexpr std::size_t kLongest = 65536;

bool is_name(char c) { return is_alpha(c) || is_digit(c) || c == '_'; }

}  // namespace

MainCf::MainCf(std::string_view text) {
  std::string name;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const std::string_view bare = trim(line);
    if (bare.empty() || bare.starts_with('#')) continue;
    if (is_blank(line.front()) && !name.empty()) {
      values_[name] += ' ' + std::string(bare);
      continue;
    }
    const std::size_t equals = bare.find('=');
    if (equals == std::string_view::npos) continue;
    name = trim(bare.substr(0, equals));
    values_[name] = trim(bare.substr(equals + 1));
  }
}

// "$name", "${name}", "$(name)"; what is not set stays as it is written.
std::string MainCf::expanded(const std::string& text, int depth, int& left) const {
  std::string result;
  for (std::size_t i = 0; i < text.size() && result.size() < kLongest; ++i) {
    if (text[i] != '$' || depth >= kDeepest || left <= 0) {
      result += text[i];
      continue;
    }
    const bool braces = i + 1 < text.size() && (text[i + 1] == '{' || text[i + 1] == '(');
    std::size_t begin = i + (braces ? 2 : 1);
    std::size_t end = begin;
    while (end < text.size() && is_name(text[end])) ++end;
    const auto it = values_.find(std::string_view(text).substr(begin, end - begin));
    if (it == values_.end()) {
      result += '$';
      continue;
    }
    --left;
    result += expanded(it->second, depth + 1, left);
    i = braces && end < text.size() ? end : end - 1;
  }
  return result;
}

std::optional<std::string> MainCf::get(std::string_view name) const {
  const auto it = values_.find(name);
  if (it == values_.end()) return std::nullopt;
  int left = kMostExpansions;
  return expanded(it->second, 0, left);
}

std::vector<std::string> MainCf::words(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  int depth = 0;
  for (const char c : text) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (depth <= 0 && (is_blank(c) || c == ',' || c == '\n')) {
      if (!word.empty()) words.push_back(std::exchange(word, ""));
    } else {
      word += c;
    }
  }
  if (!word.empty()) words.push_back(word);
  return words;
}

}  // namespace replygate::import::postfix
