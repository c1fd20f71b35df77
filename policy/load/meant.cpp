#include "policy/load/meant.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <optional>

#include "policy/load/meant_words.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

struct MeantUnit {
  std::string_view words;
  std::string_view unit;
};

constexpr MeantUnit kUnits[] = {
    {"message messages msg msgs mail mails email emails r req requests", "messages"},
    {"recipient recipients rcpt rcpts addressee addressees", "recipients"},
    {"connection connections conn conns", "connections"},
    {"refusal refusals reject rejects rejection rejections refused rejected", "refusals"},
    {"distinct_recipients", "distinct_recipients"},
    {"unknown_recipients", "unknown_recipients"},
    {"hard_bounces hard_bounce bounces bounce bounced", "hard_bounces"},
    {"blocked blocks", "blocked"},
    {"deferrals deferral deferred", "deferrals"},
    {"deliveries delivery delivered", "deliveries"},
    {"complaints complaint", "complaints"},
};
constexpr MeantUnit kCalendars[] = {
    {"month months monthly", "month"}, {"message msg mail email", "message"}, {"session connection conn", "session"}};

constexpr double kMost = 1e15;

std::string whole(double value) { return fmt::format("{}", std::llround(value)); }
bool is_whole(double value) { return value < kMost && value == std::floor(value); }

template <std::size_t N>
std::string_view named(MeantWords& words, const MeantUnit (&table)[N]) {
  for (const MeantUnit& row : table) {
    if (words.word(row.words)) return row.unit;
  }
  return "";
}

std::string_view unit_in(MeantWords& words) {
  const bool apart = words.word("distinct different unique");
  const bool unknown = !apart && words.word("unknown invalid nonexistent");
  const std::string_view unit = named(words, kUnits);
  if (unit != "recipients") return unit;
  return apart ? "distinct_recipients" : unknown ? "unknown_recipients" : unit;
}

// One or more numbers with units of time: seconds.
std::optional<double> time_in(MeantWords& words) {
  std::optional<double> total;
  while (!words.at_end()) {
    const auto number = words.number();
    if (!number) return total;
    const auto each = words.seconds_each();
    if (!each) return std::nullopt;
    total = total.value_or(0) + *number * static_cast<double>(*each);
    words.word("and");
  }
  return total;
}

std::string as_duration(double seconds) {
  if (seconds < 1 || seconds > 3653.0 * 86400 || !is_whole(seconds)) return "";
  return format_duration(std::chrono::seconds(std::llround(seconds)));
}

std::string period_in(MeantWords& words) {
  MeantWords ahead = words;
  if (const auto count = ahead.number(); count && ahead.at_end()) {
    words = ahead;
    return as_duration(*count);
  }
  if (const std::string_view calendar = named(words, kCalendars); !calendar.empty()) return std::string(calendar);
  if (const auto each = words.seconds_each()) return as_duration(static_cast<double>(*each));
  const auto time = time_in(words);
  return time ? as_duration(*time) : "";
}

std::string as_size(double octets) { return is_whole(octets) && octets >= 1 ? format_size(std::llround(octets)) : ""; }

// "10 megabytes", "10M" where a size is due.
std::string size_in(MeantWords& words) {
  const auto number = words.number();
  if (!number) return "";
  if (const auto each = words.octets_each()) return as_size(*number * static_cast<double>(*each));
  if (words.word("m meg megs")) return as_size(*number * 1e6);
  if (words.word("g gig gigs")) return as_size(*number * 1e9);
  return as_size(*number);
}

std::string value_in(FactKind kind, MeantWords& words) {
  if (kind == FactKind::size) return size_in(words);
  if (kind == FactKind::duration) {
    MeantWords bare = words;
    const auto count = bare.number();
    if (count && bare.at_end()) {
      words = bare;
      return as_duration(*count);
    }
    const auto time = time_in(words);
    return time ? as_duration(*time) : "";
  }
  const auto number = words.number();
  if (!number || !is_whole(*number)) return "";
  if (kind == FactKind::percent) {
    words.word("% percent pct");
    return whole(*number) + '%';
  }
  if (kind == FactKind::count && !words.at_end()) unit_in(words);
  return whole(*number);
}

// What stands before a number, and behind it.
std::string sign_in(MeantWords& words) {
  if (words.word(">= => ge")) return ">= ";
  if (words.word("<= =< le")) return "<= ";
  if (words.word("gt")) return "> ";
  if (words.word("lt")) return "< ";
  if (words.word("= == eq is equals exactly")) return " ";
  if (words.word("!= <> ne not")) return "!= ";
  if (words.word("> over above beyond")) return "> ";
  if (words.word("< under below")) return "< ";
  if (words.word("more greater larger bigger longer") && words.word("than")) return "> ";
  if (words.word("less fewer smaller shorter") && words.word("than")) return "< ";
  if (words.word("at")) return words.word("least") ? ">= " : words.word("most") ? "<= " : "";
  if (words.word("up") && words.word("to")) return "<= ";
  if (words.word("min minimum")) return ">= ";
  if (words.word("max maximum")) return "<= ";
  return "";
}

// "+", "or more", "and fewer": the sign that says so.
std::string open_end_in(MeantWords& words) {
  if (words.word("+")) return ">= ";
  MeantWords ahead = words;
  if (!ahead.word("or and")) return "";
  const std::string sign = ahead.word("more above greater larger over")   ? ">= "
                           : ahead.word("less fewer below smaller under") ? "<= "
                                                                          : "";
  if (!sign.empty()) words = ahead;
  return sign;
}

std::string meant_comparison(FactKind kind, std::string_view text) {
  MeantWords words(text);
  words.word("between from");
  std::string sign = sign_in(words);
  const std::string first = value_in(kind, words);
  if (first.empty()) return "";
  if (words.at_end()) return std::string(trim(sign + first));
  if (!sign.empty()) return "";
  if (const std::string open = open_end_in(words); !open.empty()) return words.at_end() ? open + first : "";
  if (!words.word("- to and : until")) return "";
  const std::string last = value_in(kind, words);
  return last.empty() || !words.at_end() ? "" : first + ".." + last;
}

// "10pm", "6:30 am", "22", "22h": minutes of the day.
std::optional<std::int64_t> clock_in(MeantWords& words) {
  const auto hour = words.number();
  if (!hour || !is_whole(*hour) || *hour > 24) return std::nullopt;
  std::int64_t minute = 0;
  if (words.word(": h uhr") && !words.at_end()) {
    MeantWords ahead = words;
    if (const auto more = ahead.number(); more && is_whole(*more) && *more < 60) {
      minute = std::llround(*more);
      words = ahead;
    }
  }
  const bool evening = words.word("pm");
  const bool morning = !evening && words.word("am");
  std::int64_t hours = std::llround(*hour);
  if ((evening || morning) && hours == 12) hours = 0;
  return ((evening ? hours + 12 : hours) * 60 + minute) % 1440;
}

std::string meant_clock(std::string_view text) {
  MeantWords words(text);
  words.word("from between");
  const auto first = clock_in(words);
  if (!first || !words.word("- to until and .")) return "";
  while (words.word(".")) {
  }
  const auto last = clock_in(words);
  if (!last || !words.at_end() || *first == *last) return "";
  return fmt::format("{:02}:{:02}-{:02}:{:02}", *first / 60, *first % 60, *last == 0 ? 24 : *last / 60, *last % 60);
}

constexpr std::array<std::string_view, 8> kDays = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"};

// As a name, or by its number from Monday.
std::string day_in(MeantWords& words) {
  if (const auto number = words.number()) {
    return is_whole(*number) && *number <= 7 ? std::string(kDays.at(static_cast<std::size_t>(*number))) : "";
  }
  const std::string word = words.any_word();
  const auto it = std::ranges::find_if(kDays, [&](std::string_view day) { return word.starts_with(day); });
  return it == kDays.end() ? "" : std::string(*it);
}

std::string meant_weekday(std::string_view text) {
  MeantWords words(text);
  if (words.word("weekend weekends")) return words.at_end() ? "sat-sun" : "";
  if (words.word("weekday weekdays workday workdays working business")) return "mon-fri";
  const std::string first = day_in(words);
  if (first.empty() || words.at_end()) return first;
  if (!words.word("- to until .")) return "";
  while (words.word(".")) {
  }
  const std::string last = day_in(words);
  return last.empty() || !words.at_end() ? "" : first + '-' + last;
}

// The length of the prefix that a netmask keeps.
std::optional<unsigned> prefix_of_mask(std::string_view mask) {
  std::uint32_t bits = 0;
  const auto parts = split(mask, '.');
  if (parts.size() != 4) return std::nullopt;
  for (const std::string_view part : parts) {
    const auto octet = parse_count(part);
    if (!octet || *octet > 255) return std::nullopt;
    bits = bits << 8U | static_cast<std::uint32_t>(*octet);
  }
  const auto length = static_cast<unsigned>(std::countl_one(bits));
  return std::uint64_t{bits} << length << 32U >> 32U == 0 || length == 32 ? std::optional(length) : std::nullopt;
}

std::string as_network(std::string_view address, unsigned length) {
  const auto network = IpNetwork::parse(fmt::format("{}/{}", address, length));
  return network ? network->text() : "";
}

}  // namespace

std::string meant_limit(std::string_view text) {
  for (const std::string_view call : {"rate", "ratelimit", "limit"}) {
    if (text.starts_with(call) && text.substr(call.size()).starts_with('(')) text.remove_prefix(call.size());
  }
  while (text.starts_with('[') || text.starts_with('(')) text.remove_prefix(1);
  while (text.ends_with(']') || text.ends_with(')')) text.remove_suffix(1);
  MeantWords words(text);
  if (!words.word("max maximum > >= over above <= <") && words.word("up more")) words.word("to than");
  MeantWords size = words;
  MeantWords measured = words;
  const auto most = words.number();
  if (!most) return "";
  std::string_view unit = unit_in(words);
  std::string amount;
  if (unit.empty() && measured.number() &&
      (measured.octets_each() || (measured.word("m g meg megs gig gigs") && measured.is_next("/")))) {
    amount = size_in(size);
    words = size;
  }
  if (amount.empty() && !is_whole(*most)) return "";
  const bool named_unit = !unit.empty() || !amount.empty();
  const bool parted = words.word("/ per each every a an in within @ during : ; ,");
  words.word("each every a an the");
  const bool adverb = words.is_next("hourly daily weekly monthly");
  MeantWords time = words;
  if (!parted && !adverb && !named_unit && time.seconds_each() && time.at_end()) return "";  // "5 min"
  if (words.at_end() && parted) return "";
  const std::string period = words.at_end() ? "1h" : period_in(words);
  // Exim's options of a rate.
  while (words.word("/") && words.word("strict leaky per_rcpt per_mail per_conn per_cmd per_addr per_byte")) continue;
  if (period.empty() || !words.at_end()) return "";
  if (unit.empty()) unit = period == "message" ? "recipients" : "messages";
  if (amount.empty()) amount = fmt::format("{} {}", whole(*most), unit);
  return fmt::format("{} / {}", amount, period);
}

std::string meant_duration(std::string_view text) {
  MeantWords words(text);
  const std::string result = value_in(FactKind::duration, words);
  return words.at_end() ? result : "";
}

std::string meant_size(std::string_view text) {
  MeantWords words(text);
  const std::string result = size_in(words);
  return words.at_end() ? result : "";
}

std::string meant_range(FactKind kind, std::string_view text) {
  if (kind == FactKind::clock) return meant_clock(text);
  if (kind == FactKind::weekday) return meant_weekday(text);
  return meant_comparison(kind, text);
}

std::vector<std::string_view> parts_meant(std::string_view text) {
  std::vector<std::string_view> parts;
  for (const std::string_view part : split(text, text.find(',') == std::string_view::npos ? ' ' : ',')) {
    if (!trim(part).empty()) parts.push_back(trim(part));
  }
  return parts;
}

std::string array_of(const std::vector<std::string_view>& values) {
  std::string array;
  for (const std::string_view value : values) array += fmt::format("{}\"{}\"", array.empty() ? "" : ", ", value);
  return fmt::format("[{}]", array);
}

// The prefix length of the largest network that begins at `at` and does not reach beyond `last`.
unsigned length_within(std::uint64_t at, std::uint64_t last) {
  unsigned length = 32;
  for (std::uint64_t size = 2; length > 0 && at % size == 0 && at + size - 1 <= last; size *= 2) --length;
  return length;
}

// The networks from one IPv4 address to another, as they stand within quotes: a", "b. At most eight; else "".
std::string meant_address_range(std::string_view text) {
  constexpr int kMostNetworks = 8;
  const auto ends = split(text, '-');
  const auto first = ends.size() == 2 ? IpAddress::parse(ends[0]) : std::nullopt;
  const auto last = ends.size() == 2 ? IpAddress::parse(ends[1]) : std::nullopt;
  if (!first || !last || !first->is_v4() || !last->is_v4() || *last < *first) return "";
  std::string networks;
  std::uint64_t at = first->four();
  for (int count = 0; at <= last->four(); ++count) {
    if (count == kMostNetworks) return "";
    const unsigned length = length_within(at, last->four());
    const IpAddress address = IpAddress::v4(static_cast<std::uint32_t>(at));
    networks += networks.empty() ? "" : "\", \"";
    networks += length == 32 ? address.text() : IpNetwork::around(address, length).text();
    at += std::uint64_t{1} << (32 - length);
  }
  return networks;
}

std::string meant_network(std::string_view text) {
  if (text.find('-') != std::string_view::npos) return meant_address_range(text);
  if (const std::size_t slash = text.find('/'); slash != std::string_view::npos) {
    const auto length = prefix_of_mask(text.substr(slash + 1));
    return length ? as_network(text.substr(0, slash), *length) : "";
  }
  while (text.ends_with(".*")) text.remove_suffix(2);
  if (text.ends_with('.')) text.remove_suffix(1);
  const auto parts = split(text, '.');
  if (parts.empty() || parts.size() > 3) return "";
  std::string address(text);
  for (std::size_t i = parts.size(); i < 4; ++i) address += ".0";
  return as_network(address, static_cast<unsigned>(parts.size()) * 8);
}

}  // namespace replygate
