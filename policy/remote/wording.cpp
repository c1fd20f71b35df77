#include "policy/remote/wording.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr std::array<std::string_view, 7> kStill{"will be retried",        "will keep trying", "still being retried",
                                                 "attempts will continue", "has been delayed", "refused to talk to me",
                                                 "temporary failure"};
constexpr std::array<std::string_view, 12> kOver{"not going to try again",
                                                 "giving up",
                                                 "failed permanently",
                                                 "permanent failure",
                                                 "permanent error",
                                                 "will not be retried",
                                                 "has been returned",
                                                 "returned to sender",
                                                 "will not succeed",
                                                 "perm_failure",
                                                 "no further delivery attempts",
                                                 "been in the queue too long"};
constexpr std::array<std::string_view, 13> kGoesOn{
    "try again later", "try later",          "try again",        "retry",   "temporarily", "deferred", "timed out",
    "lost connection", "connection refused", "no route to host", "delayed", "busy",        "greylist"};

struct DelayUnit {
  std::string_view name;
  std::int64_t seconds;
};
constexpr std::array<DelayUnit, 4> kDelayUnits{{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}}};
constexpr std::array<std::string_view, 6> kBefore{"in", "for", "after", "wait", "within", "least"};

bool has_any(std::string_view text, std::span<const std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view w) { return text.find(w) != std::string_view::npos; });
}

// "seconds", "min", "h": of the unit's first letter and nothing that is no unit.
std::optional<std::int64_t> seconds_of(std::string_view unit) {
  constexpr std::array<std::string_view, 14> kUnits{"s",    "sec",    "secs",    "second", "seconds", "m",     "min",
                                                    "mins", "minute", "minutes", "h",      "hour",    "hours", "day"};
  const bool known = std::ranges::find(kUnits, unit) != kUnits.end() || unit == "days" || unit == "d";
  if (!known) return std::nullopt;
  return std::ranges::find(kDelayUnits, unit.substr(0, 1), &DelayUnit::name)->seconds;
}

std::string_view word_ending_at(std::string_view text, std::size_t end) {
  while (end > 0 && text[end - 1] == ' ') --end;
  std::size_t begin = end;
  while (begin > 0 && is_alpha(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

std::string_view unit_at(std::string_view text, std::size_t from) {
  if (from < text.size() && text[from] == ' ') ++from;
  std::size_t end = from;
  while (end < text.size() && is_alpha(text[end])) ++end;
  return text.substr(from, end - from);
}

}  // namespace

std::optional<Severity> said_severity(const RemoteStatus& status) {
  if (status.code) return severity_of(*status.code);
  if (status.enhanced) return severity_of(status.enhanced->severity * 100);
  return std::nullopt;
}

// What the MTA has made of it comes before what the server said: it may try again after any refusal, or be at its end.
std::optional<Severity> stated_severity(const RemoteStatus& status) {
  if (status.told && *status.told != Severity::success) return status.told;
  const auto said = said_severity(status);
  return said ? said : status.told;
}

std::optional<Severity> worded_severity(std::string_view text) {
  if (has_any(text, kStill)) return Severity::transient;
  if (has_any(text, kOver)) return Severity::permanent;
  if (has_any(text, kGoesOn)) return Severity::transient;
  return std::nullopt;
}

std::optional<std::int64_t> delay_in(std::string_view text) {
  constexpr std::int64_t kWeek = 7 * 86400;
  for (std::size_t i = text.find_first_of("0123456789"); i != std::string_view::npos;) {
    std::size_t end = i;
    while (end < text.size() && is_digit(text[end])) ++end;
    std::int64_t number = 0;
    const auto read = std::from_chars(text.data() + i, text.data() + end, number);
    const auto seconds = seconds_of(unit_at(text, end));
    const bool said = std::ranges::find(kBefore, word_ending_at(text, i)) != kBefore.end();
    if (read.ec == std::errc{} && seconds && said && number > 0 && number <= kWeek / *seconds) return number * *seconds;
    i = text.find_first_of("0123456789", end);
  }
  return std::nullopt;
}

}  // namespace replygate
