#include "policy/rules/template.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 5> kWords = {"rule", "limit", "used", "retry_after", "ref"};
constexpr std::array<std::size_t, 5> kLongest = {64, 64, 20, 24, 16};

std::string_view value_of_word(Word word, const Words& words) {
  switch (word) {
    case Word::rule: return words.rule;
    case Word::limit: return words.limit;
    case Word::used: return words.used;
    case Word::retry_after: return words.retry_after;
    case Word::ref: return words.ref;
  }
  return {};
}

std::optional<Word> find_word(std::string_view name) {
  const auto it = std::ranges::find(kWords, name);
  if (it == kWords.end()) return std::nullopt;
  return static_cast<Word>(it - kWords.begin());
}

ReplyTemplate::Mistake unknown_name(std::string_view name, std::size_t at) {
  std::vector<std::string_view> known(kWords.begin(), kWords.end());
  for (const FactInfo& row : fact_table()) known.push_back(row.name);
  const std::string_view meant = nearest(name, known);
  return {.at = at,
          .length = name.size() + 2,
          .message = fmt::format("a reply text knows no {{{}}}", name),
          .help = meant.empty() ? "a text may name the facts of POLICY.md, and {rule}, {limit}, {used}, {retry_after} "
                                  "and {ref}"
                                : fmt::format("did you mean {{{}}}?", meant)};
}

void add_once(ReplyTemplate::Mistakes& mistakes, ReplyTemplate::Mistake mistake) {
  const auto it = std::ranges::find(mistakes, mistake.message, &ReplyTemplate::Mistake::message);
  if (it == mistakes.end()) mistakes.push_back(std::move(mistake));
}

void append(std::string& line, std::string_view value, std::size_t most) { line += value.substr(0, most); }

}  // namespace

void ReplyTemplate::parse_line(std::string_view text, std::size_t offset, TextFor use, Line& line, Mistakes& mistakes) {
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) line.emplace_back(std::exchange(literal, {}));
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c == '{' || c == '}') && i + 1 < text.size() && text[i + 1] == c) {
      literal += c;
      ++i;
    } else if (c == '{') {
      const std::size_t close = text.find_first_of("{}", i + 1);
      if (close == std::string_view::npos || text[close] == '{') {
        mistakes.push_back({offset + i, 1, "this { is never closed", "write {{ for a brace in the text"});
        continue;
      }
      const std::string_view name = text.substr(i + 1, close - i - 1);
      flush();
      if (const auto word = find_word(name)) {
        line.emplace_back(*word);
      } else if (auto fact = find_fact_ref(name)) {
        line.emplace_back(*std::move(fact));
      } else {
        mistakes.push_back(unknown_name(name, offset + i));
      }
      i = close;
    } else if (c == '}') {
      mistakes.push_back({offset + i, 1, "this } closes nothing", "write }} for a brace in the text"});
    } else if (is_control(c) && use == TextFor::mail) {
      add_once(mistakes, {offset + i, 1, "a control character has no place in mail", "remove it"});
    } else if (use == TextFor::reply && (is_control(c) || !is_ascii(c))) {
      add_once(mistakes, {offset + i, 1, "a reply is printable ASCII (RFC 5321 §4.2)", "write the text in ASCII"});
    } else {
      literal += c;
    }
  }
  flush();
}

std::variant<ReplyTemplate, ReplyTemplate::Mistakes> ReplyTemplate::parse(std::string_view text, TextFor use) {
  ReplyTemplate result;
  Mistakes mistakes;
  result.source_ = text;
  for (std::size_t begin = 0;;) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    if (use == TextFor::reply && trim(line).empty()) {
      add_once(mistakes, {begin, 1, "a reply has no empty lines", "remove the line, or write a text"});
    }
    parse_line(line, begin, use, result.lines_.emplace_back(), mistakes);
    if (end == text.size()) break;
    begin = end + 1;
  }
  if (!mistakes.empty()) return mistakes;
  return result;
}

std::vector<std::string> ReplyTemplate::render(const Facts& facts, const Words& words) const {
  std::vector<std::string> result;
  result.reserve(lines_.size());
  for (const Line& line : lines_) {
    std::string& text = result.emplace_back();
    for (const Piece& piece : line) {
      if (const auto* literal = std::get_if<std::string>(&piece)) {
        text += *literal;
      } else if (const auto* fact = std::get_if<FactRef>(&piece)) {
        append(text, value_text(*fact, facts), info(fact->fact).longest);
      } else {
        const Word word = std::get<Word>(piece);
        append(text, value_of_word(word, words), kLongest[static_cast<std::size_t>(word)]);
      }
    }
  }
  return result;
}

std::vector<FactRef> ReplyTemplate::facts() const {
  std::vector<FactRef> result;
  for (const Line& line : lines_) {
    for (const Piece& piece : line) {
      if (const auto* fact = std::get_if<FactRef>(&piece)) result.push_back(*fact);
    }
  }
  return result;
}

bool ReplyTemplate::names(Word word) const {
  return std::ranges::any_of(lines_, [word](const Line& line) {
    return std::ranges::any_of(line, [word](const Piece& piece) {
      const auto* named = std::get_if<Word>(&piece);
      return named != nullptr && *named == word;
    });
  });
}

std::size_t ReplyTemplate::longest_line() const {
  std::size_t longest = 0;
  for (const Line& line : lines_) {
    std::size_t length = 0;
    for (const Piece& piece : line) {
      if (const auto* literal = std::get_if<std::string>(&piece)) {
        length += literal->size();
      } else if (const auto* fact = std::get_if<FactRef>(&piece)) {
        length += info(fact->fact).longest;
      } else {
        length += kLongest[static_cast<std::size_t>(std::get<Word>(piece))];
      }
    }
    longest = std::max(longest, length);
  }
  return longest;
}

}  // namespace replygate
