#include "policy/rules/match.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

#include "policy/base/re2_piece.h"
#include "policy/mail/text.h"
#include "policy/mail/unicode.h"
#include "policy/rules/answers.h"
#include "policy/rules/kept_truths.h"

namespace replygate {
namespace {

// One character: of ASCII, of UTF-8, or an octet that is neither.
constexpr std::string_view kCharacter = R"((?:[\x00-\x7f\xc0-\xff][\x80-\xbf]*|[\x80-\xbf]))";

std::unique_ptr<re2::RE2> compiled(const std::string& expression, re2::RE2::Options::Encoding encoding) {
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_case_sensitive(false);
  options.set_encoding(encoding);
  options.set_max_mem(1 << 20);
  return std::make_unique<re2::RE2>(expression, options);
}

// RE2 takes KELVIN SIGN for k and LONG S for s where case is ignored. Here they are signs of their own, and so an
// expression and what it is searched in have other letters in their place, which have no case (U+A4D7, U+01BB).
std::string without_disguises(std::string text) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kSigns = {
      {{"\xe2\x84\xaa", "\xea\x93\x97"}, {"\xc5\xbf", "\xc6\xbb"}}};
  for (const auto& [sign, other] : kSigns) {
    for (std::size_t at = 0; (at = text.find(sign, at)) != std::string::npos;) text.replace(at, sign.size(), other);
  }
  return text;
}

struct Asker {
  const Value& value;

  Truth operator()(bool wanted) const {
    const auto* flag = std::get_if<bool>(&value);
    return flag != nullptr && *flag == wanted ? Truth::yes : Truth::no;
  }

  Truth operator()(const std::vector<NumberRange>& ranges) const {
    const auto* number = std::get_if<std::int64_t>(&value);
    const auto inside = [&](const NumberRange& r) { return (*number >= r.least && *number <= r.most) != r.inverse; };
    return number != nullptr && std::ranges::any_of(ranges, inside) ? Truth::yes : Truth::no;
  }

  Truth operator()(const std::shared_ptr<const NetworkSet>& networks) const {
    const auto* address = std::get_if<IpAddress>(&value);
    return address != nullptr && networks->contains(*address) ? Truth::yes : Truth::no;
  }

  Truth operator()(const std::shared_ptr<const TextSet>& texts) const {
    const auto* text = std::get_if<std::string_view>(&value);
    if (text == nullptr) return Truth::no;
    if (is_lower_ascii(*text)) return texts->contains(*text) ? Truth::yes : Truth::no;
    std::string kept;
    return texts->contains(in_one_case(*text, kept)) ? Truth::yes : Truth::no;
  }
};

// A text as expressions are searched in it, made once for all of a set.
struct Searched {
  explicit Searched(std::string_view text)
      : octets(text),
        kept(is_ascii_text(text) ? "" : without_disguises(std::string(text))),
        letters(kept.empty() ? text : kept),
        is_letters(kept.empty() || is_utf8(text)) {}
  Searched(const Searched&) = delete;
  Searched& operator=(const Searched&) = delete;

  std::string_view octets;
  std::string kept;
  std::string_view letters;
  bool is_letters;  // it is UTF-8
};

}  // namespace

// Values need not be UTF-8: those that are none are searched octet by octet.
struct TextSet::Expression {
  std::unique_ptr<re2::RE2> letters;  // null: of octets alone
  std::unique_ptr<re2::RE2> octets;   // null: of letters alone

  const re2::RE2& any() const { return letters != nullptr ? *letters : *octets; }
  bool is_found_in(const Searched& text) const {
    return letters == nullptr || (octets != nullptr && !text.is_letters)
               ? re2::RE2::PartialMatch(to_piece(text.octets), *octets)
               : re2::RE2::PartialMatch(to_piece(text.letters), *letters);
  }
};

TextSet::TextSet() = default;
TextSet::~TextSet() = default;
TextSet::TextSet(TextSet&&) noexcept = default;
TextSet& TextSet::operator=(TextSet&&) noexcept = default;

void TextSet::add_set(std::shared_ptr<const TextSet> other) { sets_.push_back(std::move(other)); }

std::optional<std::string> TextSet::add_regex(std::string_view expression, std::string_view* part) {
  using Options = re2::RE2::Options;
  const bool ascii = is_ascii_text(expression);
  Expression made;
  if (ascii || is_utf8(expression)) {
    made.letters = compiled(without_disguises(composed(expression)), Options::EncodingUTF8);
  }
  if (ascii || made.letters == nullptr) made.octets = compiled(std::string(expression), Options::EncodingLatin1);
  if (made.octets != nullptr && made.letters != nullptr && !made.octets->ok()) made.octets.reset();
  if (!made.any().ok()) {
    const std::string& wrong = made.any().error_arg();
    const std::size_t at = expression.rfind(wrong);
    const bool known = part != nullptr && !wrong.empty() && at != std::string_view::npos;
    if (known) *part = expression.substr(at, wrong.size());
    return made.any().error();
  }
  expressions_.push_back(std::move(made));
  return std::nullopt;
}

void TextSet::add_glob(std::string_view pattern) {
  std::string expression = "(?s)^";
  for (const char c : pattern) {
    if (c == '*') {
      expression += ".*";
    } else if (c == '?') {
      expression += kCharacter;
    } else {
      expression += re2::RE2::QuoteMeta(std::string(1, c));
    }
  }
  re2::RE2::Options options(re2::RE2::Quiet);  // both sides are folded
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  expressions_.push_back({.letters = nullptr, .octets = std::make_unique<re2::RE2>(expression + '$', options)});
  globs_.emplace_back(pattern);
}

void TextSet::collect(TextParts& parts) const {
  const auto add = [](const auto& from, auto& to) { to.insert(to.end(), from.begin(), from.end()); };
  add(exact_, parts.exact);
  add(trees_, parts.trees);
  add(at_domains_, parts.at_domains);
  add(locals_, parts.locals);
  add(globs_, parts.globs);
  parts.expressions |= expressions_.size() > globs_.size();  // a glob is an expression, too
  for (const auto& expression : expressions_) {
    parts.sources.push_back(expression.any().pattern());
    parts.samples.push_back(to_lower(expression.any().pattern()));
    std::string first;
    std::string last;
    if (expression.any().PossibleMatchRange(&first, &last, 100)) parts.samples.push_back(to_lower(first));
  }
  for (const auto& set : sets_) set->collect(parts);
}

bool TextSet::contains(std::string_view lowered) const {
  if (exact_.contains(lowered) || contains_parts(lowered)) return true;
  if (!expressions_.empty()) {
    const Searched text(lowered);
    const auto found = [&](const Expression& expression) { return expression.is_found_in(text); };
    if (std::ranges::any_of(expressions_, found)) return true;
  }
  return std::ranges::any_of(sets_, [&](const auto& set) { return set->contains(lowered); });
}

bool TextSet::contains_parts(std::string_view lowered) const {
  const std::size_t at = lowered.rfind('@');
  std::string_view domain = at == std::string_view::npos ? lowered : lowered.substr(at + 1);
  if (at != std::string_view::npos) {
    if (at_domains_.contains(domain) || locals_.contains(lowered.substr(0, at))) return true;
  }
  while (!trees_.empty() && !domain.empty()) {
    if (trees_.contains(domain)) return true;
    const std::size_t dot = domain.find('.');
    if (dot == std::string_view::npos) break;
    domain.remove_prefix(dot + 1);
  }
  return false;
}

bool TextSet::empty() const {
  return exact_.empty() && trees_.empty() && at_domains_.empty() && locals_.empty() && expressions_.empty() &&
         std::ranges::all_of(sets_, [](const auto& set) { return set->empty(); });
}

std::string_view in_one_case(std::string_view text, std::string& kept) {
  if (is_lower_ascii(text)) return text;
  kept = folded(text);
  return kept;
}

Truth matches(const Matcher& matcher, const Value& value) {
  if (std::holds_alternative<std::monostate>(value)) return Truth::unknown;
  return std::visit(Asker{value}, matcher);
}

namespace {

// Whether a live source has the value.
Truth is_listed(const std::vector<LiveSourcePtr>& sources, std::string_view value, Answers* answers) {
  if (value.empty()) return Truth::no;
  if (answers == nullptr) return Truth::unknown;
  Truth result = Truth::no;
  for (const LiveSourcePtr& source : sources) {
    const LiveAnswer* answer = answers->find(*source, value);
    if (answer != nullptr && answer->state == LiveAnswer::State::found) return Truth::yes;
    if (answer == nullptr || answer->state == LiveAnswer::State::untold) result = Truth::unknown;
  }
  return result;
}

Truth is_listed(const Condition& condition, const Facts& facts) {
  const Value value = value_of(condition.fact, facts);
  if (const auto* ip = std::get_if<IpAddress>(&value)) return is_listed(condition.live, ip->text(), facts.answers);
  const auto* text = std::get_if<std::string_view>(&value);
  if (text == nullptr) return Truth::no;  // a client without address
  std::string kept;
  const Truth whole = is_listed(condition.live, in_one_case(*text, kept), facts.answers);
  const std::string_view untagged = condition.tags ? untagged_value(condition.fact.fact, facts) : std::string_view();
  if (whole == Truth::yes || untagged.empty()) return whole;
  const Truth bare = is_listed(condition.live, in_one_case(untagged, kept), facts.answers);
  return bare == Truth::no ? whole : bare;
}

// Without live sources.
Truth holds_by_itself(const Condition& condition, const Facts& facts) {
  if (condition.fact.fact == Fact::header && facts.transaction != nullptr) {
    bool present = false;
    for (const Header& header : facts.transaction->headers) {
      if (header.name != condition.fact.header) continue;
      present = true;
      if (matches(condition.matcher, std::string_view(header.value)) == Truth::yes) return Truth::yes;
    }
    if (present) return Truth::no;
  }
  const Truth truth = matches(condition.matcher, value_of(condition.fact, facts));
  if (truth != Truth::no || !condition.tags) return truth;
  const std::string_view untagged = untagged_value(condition.fact.fact, facts);
  return untagged.empty() ? truth : matches(condition.matcher, untagged);
}

}  // namespace

Truth holds(const Condition& condition, const Facts& facts) {
  if (facts.kept != nullptr && condition.kept_as != kNotKept) {
    return facts.kept->of(condition, [&] { return holds_by_itself(condition, facts); });
  }
  const Truth truth = holds_by_itself(condition, facts);
  return truth != Truth::no || condition.live.empty() ? truth : is_listed(condition, facts);
}

Truth all_hold(const std::vector<Condition>& conditions, const Facts& facts) {
  Truth result = Truth::yes;
  for (const Condition& condition : conditions) {
    const Truth truth = holds(condition, facts);
    if (truth == Truth::no) return Truth::no;
    if (truth == Truth::unknown) result = Truth::unknown;
  }
  return result;
}

Truth any_holds(const std::vector<Condition>& conditions, const Facts& facts) {
  Truth result = Truth::no;
  for (const Condition& condition : conditions) {
    const Truth truth = holds(condition, facts);
    if (truth == Truth::yes) return Truth::yes;
    if (truth == Truth::unknown) result = Truth::unknown;
  }
  return result;
}

}  // namespace replygate
