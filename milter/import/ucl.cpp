#include "milter/import/ucl.h"

#include <fmt/format.h>

#include <algorithm>

#include "policy/mail/text.h"

namespace replygate::import::ucl {
namespace {

constexpr int kDeepestObject = 32;

struct Broken {
  std::string what;
};

class UclParser {
 public:
  explicit UclParser(std::string_view text) : rest_(text) {}

  Value file() {
    skip();
    const bool braces = take('{');
    Value root = members(0, braces);
    skip();
    if (!rest_.empty()) throw Broken{"something stands behind the last brace"};
    return root;
  }

  unsigned line() const { return line_; }

 private:
  void advance(std::size_t count) {
    line_ += static_cast<unsigned>(std::ranges::count(rest_.substr(0, count), '\n'));
    rest_.remove_prefix(std::min(count, rest_.size()));
  }

  // Blanks, comments, and what parts members.
  void skip() {
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (is_blank(c) || c == '\n' || c == '\r' || c == ';' || c == ',') {
        advance(1);
      } else if (c == '#') {
        advance(rest_.find('\n'));
      } else if (rest_.starts_with("/*")) {
        const std::size_t end = rest_.find("*/");
        advance(end == std::string_view::npos ? rest_.size() : end + 2);
      } else {
        return;
      }
    }
  }

  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    advance(1);
    return true;
  }

  Value members(int depth, bool closed) {
    Value object;
    object.kind = Value::Kind::object;
    if (depth > kDeepestObject) throw Broken{"objects stand in each other too deep"};
    for (skip(); !rest_.empty(); skip()) {
      if (closed && take('}')) return object;
      if (rest_.front() == '.') {  // a macro
        advance(rest_.find('\n'));
        continue;
      }
      const std::string key = text();
      if (key.empty()) throw Broken{fmt::format("\"{}\" is no key", rest_.substr(0, 1))};
      while (!rest_.empty() && (is_blank(rest_.front()) || rest_.front() == '=' || rest_.front() == ':')) advance(1);
      object.members.push_back({key, value(depth)});
    }
    if (closed) throw Broken{"a brace is not closed"};
    return object;
  }

  Value value(int depth) {
    while (!rest_.empty() && (is_blank(rest_.front()) || rest_.front() == '\n')) advance(1);
    if (take('{')) return members(depth + 1, true);
    if (take('[')) return array(depth + 1);
    Value value;
    if (!rest_.empty() && (rest_.front() == '"' || rest_.front() == '\'')) {
      value.text = text();
      return value;
    }
    // A word goes on to the end of the line; "user { … }" has a name before its object.
    const std::size_t end = std::min(rest_.find_first_of(";\n{},]#"), rest_.size());
    value.text = trim(rest_.substr(0, end));
    advance(end);
    if (!rest_.empty() && rest_.front() == '{' && !value.text.empty()) {
      Value named;
      named.kind = Value::Kind::object;
      advance(1);
      const std::string name = value.text;
      named.members.push_back({name, members(depth + 1, true)});
      return named;
    }
    return value;
  }

  Value array(int depth) {
    Value array;
    array.kind = Value::Kind::array;
    if (depth > kDeepestObject) throw Broken{"arrays stand in each other too deep"};
    for (skip(); !rest_.empty(); skip()) {
      if (take(']')) return array;
      const std::size_t before = rest_.size();
      array.items.push_back(value(depth));
      if (rest_.size() == before) throw Broken{"an array is not understood"};
    }
    throw Broken{"a bracket is not closed"};
  }

  std::string text() {
    std::string result;
    const char quote = rest_.front();
    if (quote != '"' && quote != '\'') {
      const std::size_t end = std::min(rest_.find_first_of(" \t\n=:{[;,}]\"'"), rest_.size());
      result = rest_.substr(0, end);
      advance(end);
      return result;
    }
    std::size_t at = 1;
    for (; at < rest_.size() && rest_[at] != quote; ++at) {
      if (rest_[at] == '\\' && at + 1 < rest_.size()) ++at;
      result += rest_[at];
    }
    if (at >= rest_.size()) throw Broken{"a quote is not closed"};
    advance(at + 1);
    return result;
  }

  std::string_view rest_;
  unsigned line_ = 1;
};

}  // namespace

const Value* Value::find(std::string_view key) const {
  const auto it = std::ranges::find(members, key, &Member::key);
  return it == members.end() ? nullptr : &it->value;
}

std::vector<std::string> Value::texts() const {
  if (kind == Kind::text) return {text};
  std::vector<std::string> all;
  for (const Value& item : items) all.push_back(item.text);
  return all;
}

std::optional<Value> parse(std::string_view text, std::string& why) {
  UclParser parser(text);
  try {
    return parser.file();
  } catch (const Broken& broken) {
    why = fmt::format("line {}: {}", parser.line(), broken.what);
    return std::nullopt;
  }
}

}  // namespace replygate::import::ucl
