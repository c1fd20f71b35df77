#include "policy/scenario/scenario.h"

#include <fmt/format.h>

#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::int64_t kMostAddresses = 100000;
constexpr std::size_t kMostText = 1000;

// The two numbers of "{1..101}" at `open`, and where it ends.
struct Range {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::size_t end = 0;
};

std::optional<Range> range_at(std::string_view text, std::size_t open) {
  const std::size_t close = text.find('}', open);
  if (close == std::string_view::npos) return std::nullopt;
  const std::string_view inner = text.substr(open + 1, close - open - 1);
  const std::size_t dots = inner.find("..");
  if (dots == std::string_view::npos) return std::nullopt;
  const auto first = parse_count(inner.substr(0, dots));
  const auto last = parse_count(inner.substr(dots + 2));
  if (!first || !last || *last < *first || *last - *first >= kMostAddresses) return std::nullopt;
  return Range{*first, *last, close + 1};
}

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (text.size() < at + count) return std::nullopt;
  int value = 0;
  for (const char c : text.substr(at, count)) {
    if (!is_digit(c)) return std::nullopt;
    value = value * 10 + (c - '0');
  }
  return value;
}

// "Z", "+01:00": minutes east of Greenwich.
std::optional<int> offset_of(std::string_view text) {
  if (text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const auto hours = digits(text, 1, 2);
  const auto minutes = digits(text, 4, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (*hours * 60 + *minutes);
}

}  // namespace

std::optional<std::vector<std::string>> expand_ranges(std::string_view text) {
  const std::size_t open = text.find('{');
  if (open == std::string_view::npos) return std::vector<std::string>{std::string(text)};
  const auto range = range_at(text, open);
  if (!range || text.size() > kMostText) return std::nullopt;
  const auto tails = expand_ranges(text.substr(range->end));
  if (!tails || (range->last - range->first + 1) * static_cast<std::int64_t>(tails->size()) > kMostAddresses) {
    return std::nullopt;
  }
  std::vector<std::string> result;
  for (std::int64_t n = range->first; n <= range->last; ++n) {
    for (const std::string& tail : *tails) result.push_back(fmt::format("{}{}{}", text.substr(0, open), n, tail));
  }
  return result;
}

std::optional<Instant> parse_time(std::string_view text) {
  const auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  if (!year || !month || !day || !hour || !minute || text[4] != '-' || text[7] != '-' || text[13] != ':' ||
      (text[10] != 'T' && text[10] != 't' && text[10] != ' ')) {
    return std::nullopt;
  }
  std::optional<int> second = 0;
  std::size_t end = 16;
  if (text.size() > end && text[end] == ':') {
    second = digits(text, 17, 2);
    end = 19;
  }
  Duration fraction{};
  if (text.size() > end + 1 && end == 19 && text[end] == '.') {
    auto unit = std::chrono::duration_cast<Duration>(std::chrono::seconds(1));
    for (++end; end < text.size() && text[end] >= '0' && text[end] <= '9'; ++end) {
      unit /= 10;
      fraction += unit * (text[end] - '0');
    }
  }
  if (!second) return std::nullopt;
  const auto offset = offset_of(text.substr(end));
  const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!offset || !date.ok() || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute - *offset) +
         std::chrono::seconds(*second) + fraction;
}

}  // namespace replygate
