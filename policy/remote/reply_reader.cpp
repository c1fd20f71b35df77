#include "policy/remote/reply_reader.h"

#include <algorithm>
#include <array>

#include "policy/catalogue/codes.h"
#include "policy/mail/text.h"
#include "policy/remote/answered.h"
#include "policy/remote/counted_things.h"

namespace replygate {
namespace {

constexpr std::size_t kFarthestWord = 3;  // an enhanced code may come that many words after the code
constexpr std::size_t kMostPlaces = 64;   // more are a text about replies
constexpr OctetSet kOpening("\"'`([:;<|");
constexpr OctetSet kWrapping("(#[<:\"'");
constexpr OctetSet kTrailing(")]>,;:.\"'");

bool is_reply_word(char c) { return is_digit(c) || is_alpha(c) || c == '_' || !is_ascii(c); }

char octet_at(std::string_view text, std::size_t i) { return i < text.size() ? text[i] : '\n'; }

// The word that ends before `end`, letters alone.
std::string_view word_before(std::string_view text, std::size_t end) {
  std::size_t begin = end;
  while (begin > 0 && end - begin < 16 && is_reply_word(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

bool announces_reply(std::string_view word) {
  constexpr std::array<std::string_view, 12> kWords{"said",         "code",     "error", "response",
                                                    "responsecode", "reply",    "stat",  "returned",
                                                    "status",       "answered", "smtp",  "error_code"};
  return std::ranges::any_of(kWords, [&](std::string_view w) { return equal_ignoring_case(w, word); });
}

// "12:30:45" and "2001:db8:250" are no place for a reply.
bool is_inside_colons(std::string_view text, std::size_t colon) {
  if (colon == 0 || is_gap(text[colon - 1])) return false;
  if (is_digit(text[colon - 1])) return true;
  for (std::size_t i = colon; i > 0 && colon - i < 40 && (is_reply_word(text[i - 1]) || text[i - 1] == ':'); --i) {
    if (text[i - 1] == ':') return true;
  }
  return false;
}

bool is_line_start(std::string_view text, std::size_t begin) {
  while (begin > 0 && is_blank(text[begin - 1])) --begin;
  return begin == 0 || is_gap(text[begin - 1]);
}

// A line that comes after "The response was:" and empty lines.
bool is_announced(std::string_view text, std::size_t begin) {
  while (begin > 0 && is_gap(text[begin - 1])) --begin;
  return begin == 0 || text[begin - 1] == ':';
}

bool is_reply_place(std::string_view text, std::size_t begin, Lines lines) {
  if (is_line_start(text, begin)) return lines == Lines::replies || is_announced(text, begin);
  std::size_t before = begin;
  while (before > 0 && is_blank(text[before - 1])) --before;
  const char last = text[before - 1];
  if (last == ':' && before == begin && is_inside_colons(text, before - 1)) return false;
  if (kOpening.has(last)) return true;
  if (last == '>') return before > 1 && text[before - 2] == '-';  // "->"
  if (last == '=') return announces_reply(word_before(text, before - 1));
  return before < begin && announces_reply(word_before(text, before));
}

int code_at(std::string_view text, std::size_t begin) {
  if (begin + 3 > text.size()) return 0;
  const char first = text[begin];
  if (first != '2' && first != '4' && first != '5') return 0;
  if (!is_digit(text[begin + 1]) || !is_digit(text[begin + 2]) || is_reply_word(octet_at(text, begin + 3))) return 0;
  if (begin > 0 && (is_reply_word(text[begin - 1]) || text[begin - 1] == '.' || text[begin - 1] == '-' ||
                    text[begin - 1] == '/' || text[begin - 1] == '+' || text[begin - 1] == '@')) {
    return 0;
  }
  return (first - '0') * 100 + (text[begin + 1] - '0') * 10 + (text[begin + 2] - '0');
}

// "5.1.1", "(#5.1.1)", "[5.1.1]:".
std::optional<EnhancedCode> enhanced_in(std::string_view word) {
  while (!word.empty() && kWrapping.has(word.front())) word.remove_prefix(1);
  if (word.size() < 5 || word[1] != '.') return std::nullopt;
  const std::size_t end = word.find_first_not_of("0123456789.");
  if (end != std::string_view::npos) {
    if (!kTrailing.has(word[end]) && word[end] != '<' && word[end] != '-') return std::nullopt;
    word = word.substr(0, end);
  }
  while (!word.empty() && word.back() == '.') word.remove_suffix(1);
  const auto code = EnhancedCode::parse(word);
  return code && code->subject <= 7 ? code : std::nullopt;
}

// "[405]" behind their words is a number of their own, unless it is a code of SMTP.
bool is_mark_of_theirs(std::string_view text, std::size_t begin, int code) {
  const bool enclosed = begin > 0 && text[begin - 1] == '[' && octet_at(text, begin + 3) == ']';
  return enclosed && find_reply_code(code) == nullptr;
}

// Whether what follows three digits lets them be a reply's code.
bool may_follow_code(std::string_view text, std::size_t after) {
  const char next = octet_at(text, after);
  const char second = octet_at(text, after + 1);
  if (next == '-') {
    const WordPlace word = next_word(text, after + 1);
    return !is_digit(second) || enhanced_in(text.substr(after + 1, word.end - after - 1)).has_value();
  }
  if (next == '.' || next == ',') return !is_digit(second);
  if (!is_gap(next))
    return next == ':' || next == ';' || kTrailing.has(next) || next == '(' || next == '[' || next == '<';
  const WordPlace word = next_word(text, after);
  const std::string_view said = text.substr(word.begin, word.end - word.begin);
  if (said.size() >= 3 && std::ranges::all_of(said, [](char c) { return is_digit(c) || c == '-'; })) return false;
  return !counts_things(text, after);
}

bool may_be_code(int code) {
  switch (code) {
    case 220:
    case 221: return false;  // greeting and goodbye
    default: return code >= 400 || code == 200 || code == 250 || code == 251 || code == 252;
  }
}

// Finds the enhanced code that belongs to the reply, and where its text begins.
void take_enhanced(std::string_view text, ReplyPlace& reply) {
  std::size_t from = reply.begin + 3;
  while (from < text.size() && (text[from] == '-' || text[from] == ':' || text[from] == ',')) ++from;
  reply.text = from;
  for (std::size_t i = 0; i < kFarthestWord; ++i) {
    const WordPlace word = next_word(text, from);
    const auto found = enhanced_in(text.substr(word.begin, word.end - word.begin));
    if (found && (i == 0 || found->severity == reply.code / 100)) {
      reply.enhanced = found;
      if (i == 0) reply.text = text.find_first_of(" \t\r\n<", word.begin + 1);
      if (reply.text == std::string_view::npos) reply.text = text.size();
      return;
    }
    from = word.end;
  }
  if (const std::size_t mark = text.find("(#", reply.text);
      mark != std::string_view::npos) {  // as qmail ends its texts
    const auto found = enhanced_in(text.substr(mark, 16));
    if (found && found->severity == reply.code / 100) reply.enhanced = found;
  }
}

bool is_followed_by_its_class(std::string_view text, std::size_t begin) {
  const WordPlace word = next_word(text, begin + 3 + (octet_at(text, begin + 3) == '-' ? 1 : 0));
  const auto found = enhanced_in(text.substr(word.begin, word.end - word.begin));
  return found && found->severity == text[begin] - '0';
}

int rank(const ReplyPlace& reply, bool starts_line) {
  if (reply.code < 400) return 3;
  if (reply.code == 503) return 2;  // what servers say to commands after a refusal
  return starts_line && reply.code >= 500 ? 0 : 1;
}

std::optional<ReplyPlace> best_reply(std::string_view text, std::size_t from, Lines lines) {
  std::optional<ReplyPlace> best;
  int best_rank = 0;
  std::size_t places = 0;
  bool several_lines = false;
  for (std::size_t i = text.find_first_of("245", from); i != std::string_view::npos && places < kMostPlaces;
       i = text.find_first_of("245", i + 1)) {
    const int code = code_at(text, i);
    if (code == 0 || !may_be_code(code) || !may_follow_code(text, i + 3) || is_mark_of_theirs(text, i, code)) continue;
    if (!is_reply_place(text, i, lines) && !is_followed_by_its_class(text, i)) continue;
    ++places;
    ReplyPlace reply{code, std::nullopt, i, i};
    const bool starts_line = is_line_start(text, i);
    const int its_rank = rank(reply, starts_line && (several_lines || !best));
    several_lines = several_lines || starts_line;
    if (best && its_rank >= best_rank) continue;
    best = reply;
    best_rank = its_rank;
  }
  if (best) take_enhanced(text, *best);
  return best;
}

// "Version: 5.1.1", "release 5.1.1".
bool counts_versions(std::string_view text, std::size_t begin) {
  while (begin > 0 && (is_blank(text[begin - 1]) || text[begin - 1] == ':')) --begin;
  const std::string_view word = word_before(text, begin);
  constexpr std::array<std::string_view, 5> kWords{"version", "release", "kernel", "linux", "v"};
  return std::ranges::any_of(kWords, [&](std::string_view w) { return equal_ignoring_case(w, word); });
}

// An enhanced code without a code before it: at a reply's place, or as "(#5.1.1)".
std::optional<ReplyPlace> lone_enhanced(std::string_view text, Lines lines) {
  for (std::size_t i = text.find_first_of("245"); i != std::string_view::npos; i = text.find_first_of("245", i + 1)) {
    if (octet_at(text, i + 1) != '.' ||
        (i > 0 && (is_reply_word(text[i - 1]) || text[i - 1] == '.' || text[i - 1] == '-')))
      continue;
    const bool marked = i > 0 && text[i - 1] == '#';
    if (!marked && (!is_reply_place(text, i, lines) || counts_versions(text, i))) continue;
    const WordPlace word = next_word(text, i);
    const auto found = enhanced_in(text.substr(i, word.end - i));
    if (!found) continue;
    return ReplyPlace{0, found, i, marked ? 0 : i + found->text().size()};
  }
  return std::nullopt;
}

std::size_t find_ignoring_case(std::string_view text, std::string_view what) {
  const auto it = std::search(text.begin(), text.end(), what.begin(), what.end(),
                              [](char a, char b) { return lower(a) == lower(b); });
  return it == text.end() ? std::string_view::npos : static_cast<std::size_t>(it - text.begin());
}

// How many octets only continue the reply: its codes once more, and at the begin of a line the first one alone.
std::size_t continuation(std::string_view text, std::size_t begin, const ReplyPlace& reply, bool starts_line) {
  if (reply.code == 0 || code_at(text, begin) != reply.code) return 0;
  const char separator = octet_at(text, begin + 3);
  if (separator != '-' && separator != ' ') return 0;
  const WordPlace word = next_word(text, begin + 4);
  const auto found = enhanced_in(text.substr(word.begin, word.end - word.begin));
  if (found && found == reply.enhanced) return word.end - begin;
  return separator == '-' || starts_line ? 4 : 0;
}

}  // namespace

std::optional<ReplyPlace> find_reply(std::string_view text, Lines lines) {
  const std::size_t field = find_ignoring_case(text, "diagnostic-code:");
  if (field != std::string_view::npos) {
    if (auto reply = best_reply(text, field, lines)) return reply;
  }
  if (auto reply = best_reply(text, 0, lines)) return reply;
  return lone_enhanced(text, lines);
}

std::string one_line(std::string_view text, const ReplyPlace* reply) {
  std::string line;
  line.reserve(text.size());
  bool gap = false;
  bool line_start = false;
  for (std::size_t i = 0; i < text.size();) {
    if (is_gap(text[i])) {
      line_start = line_start || text[i] == '\n';
      gap = true;
      ++i;
      continue;
    }
    const std::size_t skipped = gap && reply != nullptr ? continuation(text, i, *reply, line_start) : 0;
    if (skipped > 0) {
      i += skipped;
      line_start = false;
      continue;
    }
    if (gap && !line.empty()) line += ' ';
    gap = line_start = false;
    line += is_control(text[i]) ? '?' : text[i];
    ++i;
  }
  return line;
}

RemoteStatus read_status(std::string_view text, Lines lines) {
  RemoteStatus status;
  const auto reply = find_reply(text, lines);
  if (reply && reply->code != 0) status.code = reply->code;
  if (reply) status.enhanced = reply->enhanced;
  constexpr std::size_t kLongestText = 8000;
  const std::string_view said = reply ? text.substr(reply->text) : text;
  status.text = one_line(said.substr(0, kLongestText), reply ? &*reply : nullptr);
  status.host = host_of(text);
  status.at = answered_command(text);
  return status;
}

}  // namespace replygate
