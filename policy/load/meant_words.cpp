#include "policy/load/meant_words.h"

#include <algorithm>
#include <charconv>

#include "policy/mail/text.h"

namespace replygate {
namespace {

struct Named {
  std::string_view names;  // parted by blanks
  std::int64_t each;
};

constexpr Named kTimes[] = {
    {"s sec secs second seconds", 1}, {"m min mins minute minutes", 60},  {"h hr hrs hour hours hourly", 3600},
    {"d day days daily", 86400},      {"w wk week weeks weekly", 604800},
};
constexpr Named kSizes[] = {
    {"b byte bytes octet octets", 1},
    {"kb kilobyte kilobytes", 1000},
    {"mb megabyte megabytes", 1000000},
    {"gb gigabyte gigabytes", 1000000000},
    {"kib", 1024},
    {"mib", 1048576},
    {"gib", 1073741824},
};

template <std::size_t N>
std::optional<std::int64_t> each_of(std::string_view word, const Named (&table)[N]) {
  const auto it = std::ranges::find_if(table, [&](const Named& row) { return is_one_of(word, row.names); });
  return it == std::end(table) ? std::nullopt : std::optional(it->each);
}

// Thousands are parted: "1,000", "1'000", "10_000".
bool parts_thousands(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at + 1);
  return std::string_view(",'_").find(text[at]) != std::string_view::npos && rest.size() >= 3 &&
         std::all_of(rest.begin(), rest.begin() + 3, is_digit) && (rest.size() == 3 || !is_digit(rest[3]));
}

// The digits at the front, without what parts thousands, and how long they were.
std::string digits_of(std::string_view text, std::size_t& size) {
  std::string digits;
  bool fraction = false;
  for (size = 0; size < text.size(); ++size) {
    if (is_digit(text[size])) {
      digits += text[size];
    } else if (!fraction && text[size] == '.' && size + 1 < text.size() && is_digit(text[size + 1])) {
      fraction = true;
      digits += '.';
    } else if (!parts_thousands(text, size)) {
      break;
    }
  }
  return digits;
}

}  // namespace

MeantWords::MeantWords(std::string_view text) {
  while (!text.empty()) {
    std::size_t size = 1;
    if (is_digit(text.front())) {
      const std::string digits = digits_of(text, size);
      double value = 0;
      std::from_chars(digits.data(), digits.data() + digits.size(), value);
      tokens_.push_back({std::string(text.substr(0, size)), value});
    } else if (is_alpha(text.front())) {
      size = std::min(text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"), text.size());
      tokens_.push_back({to_lower(text.substr(0, size)), std::nullopt});
    } else if (!is_blank(text.front())) {
      size = std::min(text.find_first_not_of("<>=!"), text.size());
      size = std::max<std::size_t>(size, 1);
      tokens_.push_back({std::string(text.substr(0, size)), std::nullopt});
    }
    text.remove_prefix(size);
  }
}

std::optional<double> MeantWords::number() {
  if (at_end() || !tokens_[at_].number) return std::nullopt;
  const double value = *tokens_[at_++].number;
  return word("k thousand") ? value * 1000 : value;
}

bool MeantWords::is_next(std::string_view alternatives) const {
  return !at_end() && !tokens_[at_].number && is_one_of(tokens_[at_].text, alternatives);
}

bool MeantWords::word(std::string_view alternatives) {
  const bool taken = is_next(alternatives);
  if (taken) ++at_;
  return taken;
}

std::string MeantWords::any_word() { return at_end() || tokens_[at_].number ? "" : tokens_[at_++].text; }

std::optional<std::int64_t> MeantWords::seconds_each() {
  if (at_end()) return std::nullopt;
  const auto each = each_of(tokens_[at_].text, kTimes);
  if (each) ++at_;
  return each;
}

std::optional<std::int64_t> MeantWords::octets_each() {
  if (at_end()) return std::nullopt;
  const auto each = each_of(tokens_[at_].text, kSizes);
  if (each) ++at_;
  return each;
}

}  // namespace replygate
