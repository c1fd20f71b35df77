#include "policy/load/numbers.h"

#include <algorithm>
#include <array>
#include <limits>

#include "policy/load/foreign.h"
#include "policy/load/meant.h"
#include "policy/load/meant_counting.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMostMembers = 1'000'000;  // of distinct_recipients: they are kept one by one
constexpr std::array<std::string_view, 5> kPeriods = {"message", "session", "day", "week", "month"};
constexpr std::int64_t kEndOfDay = 1440;

bool is_time_unit(char c) { return std::string_view("smhdw").find(c) != std::string_view::npos; }

std::optional<std::int64_t> number(FactKind kind, std::string_view text) {
  switch (kind) {
    case FactKind::size: return parse_size(text);
    case FactKind::percent:
      if (!text.ends_with('%')) return std::nullopt;
      return parse_count(trim(text.substr(0, text.size() - 1)));
    case FactKind::duration: {
      if (text.size() == 2 && text.front() == '0' && is_time_unit(text.back())) return 0;
      const auto duration = parse_duration(text);
      return duration ? std::optional(duration->count() / 1000000) : std::nullopt;
    }
    default: return parse_count(text);
  }
}

// `greatest`: of the numbers in it.
std::optional<NumberRange> range_of(FactKind kind, std::string_view text, std::int64_t& greatest) {
  const auto read = [&](std::string_view part) {
    const auto value = number(kind, trim(part));
    greatest = std::max(greatest, value.value_or(0));
    return value;
  };
  text = trim(text);
  if (const std::size_t dots = text.find(".."); dots != std::string_view::npos) {
    const auto least = read(text.substr(0, dots));
    const auto most = read(text.substr(dots + 2));
    if (!least || !most || *least > *most) return std::nullopt;
    return NumberRange{*least, *most};
  }
  const std::size_t end = text.find_first_not_of("<>=!");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view sign = text.substr(0, end);
  const auto value = read(text.substr(end));
  if (!value) return std::nullopt;
  if (sign.empty() || sign == "=" || sign == "==") return NumberRange{*value, *value};
  if (sign == "!=") return NumberRange{*value, *value, true};
  if (sign == ">=") return NumberRange{*value, kMost};
  if (sign == ">") return NumberRange{*value + 1, kMost};
  if (sign == "<=") return NumberRange{0, *value};
  if (sign == "<") return NumberRange{0, *value - 1};
  return std::nullopt;
}

// "sat", "Saturday": 1 Monday … 7 Sunday.
std::optional<std::int64_t> weekday_of(std::string_view text) {
  const std::string word = to_lower(text);
  for (unsigned day = 1; day <= 7; ++day) {
    const std::string_view name = weekday_name(day);
    if (word.size() >= 2 && (word == name || (word.size() <= 3 && name.starts_with(word)))) return day;
  }
  return std::nullopt;
}

// From `first` to `last` in a cycle of `length` numbers that begins at `start`.
std::vector<NumberRange> cycle(std::int64_t first, std::int64_t last, std::int64_t start, std::int64_t length) {
  if (first <= last) return {{first, last}};
  return {{first, start + length - 1}, {start, last}};
}

// The end of a time of day does not belong to it, the last weekday does.
std::vector<NumberRange> cyclic_ranges(FactKind kind, std::string_view text) {
  const bool clock = kind == FactKind::clock;
  const std::size_t dash = text.find('-');
  const auto value = clock ? parse_clock : weekday_of;
  const auto first = value(trim(text.substr(0, dash)));
  const auto last = dash == std::string_view::npos ? first : value(trim(text.substr(dash + 1)));
  if (!first || !last || (clock && (dash == std::string_view::npos || *first == *last))) return {};
  if (!clock) return cycle(*first, *last, 1, 7);
  return cycle(*first, *last == 0 ? kEndOfDay - 1 : *last - 1, 0, kEndOfDay);
}

std::string_view range_help(FactKind kind) {
  switch (kind) {
    case FactKind::size: return "write for instance \"> 25 MB\", \"<= 10 MiB\" or \"1 MB..5 MB\"";
    case FactKind::percent: return "write for instance \">= 100%\" or \"80%..95%\"";
    case FactKind::duration: return "write for instance \"> 5m\" or \"<= 1h30m\"";
    case FactKind::clock: return "write for instance \"22:00-06:00\"";
    case FactKind::weekday: return "write for instance \"sat\" or \"mon-fri\"";
    default: return "write for instance \"> 100\", \"<= 5\" or \"10..20\"";
  }
}

// What to write for a comparison that says nothing.
std::string help_against(FactKind kind, std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots != std::string_view::npos) {
    const std::string_view first = trim(text.substr(0, dots));
    const std::string_view last = trim(text.substr(dots + 2));
    if (number(kind, first) && number(kind, last)) return fmt::format("write \"{}..{}\"", last, first);
  }
  const std::string meant = meant_range(kind, text);
  return meant.empty() ? std::string(range_help(kind)) : fmt::format("write \"{}\"", meant);
}

// "500 recipients/day/user": the key is no part of a limit.
std::string limit_with_key_help(std::string_view text) {
  const std::size_t slash = text.rfind('/');
  if (slash == text.find('/')) return "";
  const std::string_view name = trim(text.substr(slash + 1));
  const std::string_view called = fact_called(name);
  const std::string_view fact = called.empty() ? name : called;
  const std::string meant = meant_limit(text.substr(0, slash));
  const bool known = find_fact(fact) != nullptr && !meant.empty();
  return known ? fmt::format("write \"{}\", and per = \"{}\"", meant, fact) : "";
}

// What to write for a limit that is none.
std::string limit_help(std::string_view text, std::string_view otherwise) {
  if (std::string help = limit_with_key_help(text); !help.empty()) return help;
  if (const std::string meant = meant_limit(text); !meant.empty()) return fmt::format("write \"{}\"", meant);
  const std::string time = meant_duration(text);
  return time.empty() ? std::string(otherwise) : fmt::format("write for instance \"100 messages / {}\"", time);
}

// "> 25" where sizes, shares and times have a unit.
bool lacks_unit(FactKind kind, std::string_view text) {
  const std::string_view rest = trim(text.substr(std::min(text.find_first_not_of("<>=! "), text.size())));
  return (kind == FactKind::size || kind == FactKind::percent || kind == FactKind::duration) && parse_count(rest);
}

void report_range(Context& context, FactKind kind, std::string_view fact, const Node& node) {
  const std::string_view text = node.string;
  if (lacks_unit(kind, text)) {
    const std::string meant = meant_range(kind, text);
    const std::string_view unit = kind == FactKind::size ? " B" : kind == FactKind::percent ? "%" : "s";
    context.error(Rg::unit_missing, node.region, fmt::format("\"{}\" has no unit, and {} has one", text, fact),
                  meant.empty() ? fmt::format("write \"{}{}\"", trim(text), unit) : fmt::format("write \"{}\"", meant));
    return;
  }
  context.error(Rg::quantity, node.region,
                fmt::format("\"{}\" is not something that {} can be compared with", text, fact),
                help_against(kind, text));
}

void report_unit(Context& context, FactKind kind, std::string_view fact, const Node& node) {
  const std::int64_t n = node.integer;
  if (kind == FactKind::size) {
    context.error(
        Rg::unit_missing, node.region, fmt::format("{} is a size; {} of what?", fact, n),
        n < 1000 ? fmt::format("write for instance \"> {} MB\"", n) : fmt::format("write \"> {}\"", format_size(n)));
  } else if (kind == FactKind::percent) {
    context.error(Rg::unit_missing, node.region, fmt::format("{} is a share; {} of what?", fact, n),
                  fmt::format("write \">= {}%\"", n));
  } else if (kind == FactKind::duration) {
    context.error(Rg::unit_missing, node.region, fmt::format("{} is a duration; {} of what?", fact, n),
                  fmt::format("write \"> {}s\" or \"> {}m\"", n, n));
  } else {
    context.expect(node, Node::Kind::string, fact);
  }
}

std::string unlimited_help(std::string_view text) {
  return fmt::format("{}it belongs in override; a rule without a limit has none",
                     text == "unlimited" ? "" : "did you mean \"unlimited\"? ");
}

// "10% hard_bounces". False after an error.
bool parse_share_of_outcomes(Context& context, const Node& node, std::string_view amount, Limit& limit) {
  const auto part = [&](std::string_view word) { return part_of(node, node.string.find(word), word.size()); };
  const std::size_t end = amount.find('%') + 1;
  const std::string_view word = amount.substr(0, end);
  const std::string_view unit_word = trim(amount.substr(end));
  const auto share = parse_share(word);
  if (!share || *share == 0 || *share > Limit::kWholeShare) {
    context.error(Rg::share_limit, part(word), fmt::format("\"{}\" is not a share of the recipients", word),
                  "write something from \"0.01%\" to \"100%\"");
    return false;
  }
  const auto unit = unit_from(unit_word);
  if (!unit || !counts_outcomes(*unit)) {
    std::vector<std::string_view> names;
    for (const std::string_view name : unit_names()) {
      if (counts_outcomes(*unit_from(name))) names.push_back(name);
    }
    context.error(unit ? Rg::share_limit : Rg::unknown_unit, part(unit_word.empty() ? amount : unit_word),
                  unit ? fmt::format("{} have no share: they are not what became of recipients", unit_word)
                       : fmt::format("a share cannot count \"{}\"", unit_word),
                  suggestion(unit_word, names, "it is a share of"));
    return false;
  }
  limit.share = *share;
  limit.unit = *unit;
  return true;
}

// "500 recipients", "25 MiB". False after an error.
bool parse_amount(Context& context, const Node& node, std::string_view amount, Limit& limit) {
  if (amount.substr(0, amount.find(' ')).find('%') != std::string_view::npos) {
    return parse_share_of_outcomes(context, node, amount, limit);
  }
  const auto part = [&](std::string_view word) { return part_of(node, node.string.find(word), word.size()); };
  const std::size_t blank = amount.find(' ');
  const std::string_view unit_word = blank == std::string_view::npos ? "" : trim(amount.substr(blank));
  if (const auto size = parse_size(amount)) {
    limit.most = *size;
    limit.unit = Unit::bytes;
  } else if (const auto count = parse_count(amount.substr(0, blank)); count && !unit_word.empty()) {
    const auto unit = unit_from(unit_word);
    if (!unit) {
      context.error(Rg::unknown_unit, part(unit_word), fmt::format("a limit cannot count \"{}\"", unit_word),
                    limit_help(node.string, suggestion(unit_word, unit_names(), "it counts")));
      return false;
    }
    limit.most = *count;
    limit.unit = *unit;
    const bool apart = *unit == Unit::distinct_recipients || counts_outcomes(*unit);
    if (apart && limit.most > kMostMembers && limit.most <= kMostQuantity) {
      context.error(Rg::out_of_range, part(amount), "that many different recipients cannot be told apart",
                    fmt::format("write at most {} {}", kMostMembers, unit_word));
      return false;
    }
  } else {
    context.error(Rg::limit_syntax, part(amount), fmt::format("\"{}\" is not a number with a unit", amount),
                  limit_help(node.string, "write for instance \"500 recipients / 1h\" or \"25 MiB / 1d\""));
    return false;
  }
  return !is_beyond(context, limit.most, amount, part(amount));
}

std::string period_help(std::string_view period) {
  if (!nearest(period, kPeriods).empty()) return suggestion(period, kPeriods, "");
  return "write for instance \"30s\", \"1h\", \"1d\", \"day\", \"month\", \"message\" or \"session\"";
}

// "1h", "day", "message". False after an error.
bool parse_period(Context& context, const Node& node, std::string_view period, Limit& limit) {
  if (const auto it = std::ranges::find(kPeriods, period); it != kPeriods.end()) {
    const auto index = it - kPeriods.begin();
    limit.scope = index == 0 ? Scope::message : index == 1 ? Scope::session : Scope::calendar;
    if (index >= 2) limit.calendar = static_cast<Calendar>(index - 2);
    return true;
  }
  if (const auto duration = parse_duration(period); duration && *duration % std::chrono::seconds(1) == Duration(0)) {
    limit.period = *duration;
    return true;
  }
  context.error(Rg::quantity, part_of(node, node.string.rfind(period), period.size()),
                fmt::format("\"{}\" is not a period", period), limit_help(node.string, period_help(period)));
  return false;
}

}  // namespace

bool is_beyond(Context& context, std::int64_t quantity, std::string_view shown, const Region& at) {
  if (quantity <= kMostQuantity) return false;
  context.error(Rg::out_of_range, at, fmt::format("{} is more than can be counted", shown),
                fmt::format("write at most {}", kMostQuantity));
  return true;
}

std::vector<NumberRange> parse_range(Context& context, FactKind kind, std::string_view fact, const Node& node) {
  if (node.kind == Node::Kind::integer && kind == FactKind::count) {
    if (is_beyond(context, node.integer, std::to_string(node.integer), node.region)) return {};
    return {{node.integer, node.integer}};
  }
  if (node.kind == Node::Kind::integer) {
    report_unit(context, kind, fact, node);
    return {};
  }
  if (!context.expect(node, Node::Kind::string, fact)) return {};
  std::vector<NumberRange> ranges;
  if (kind == FactKind::clock || kind == FactKind::weekday) {
    ranges = cyclic_ranges(kind, trim(node.string));
  } else {
    std::int64_t greatest = 0;
    const auto range = range_of(kind, node.string, greatest);
    if (is_beyond(context, greatest, fmt::format("\"{}\"", node.string), node.region)) return {};
    if (range) ranges.push_back(*range);
  }
  if (ranges.empty()) {
    report_range(context, kind, fact, node);
  } else if (ranges.front().least > ranges.front().most) {
    context.error(Rg::cannot_match, node.region, fmt::format("{} is never \"{}\"", fact, node.string),
                  kind == FactKind::clock
                      ? fmt::format("write \"00:00-{}\"", trim(node.string.substr(node.string.find('-') + 1)))
                      : "it is never below 0");
  }
  return ranges;
}

std::optional<std::int64_t> parse_clock(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || text.size() != colon + 3 || colon > 2) return std::nullopt;
  const auto hours = parse_count(text.substr(0, colon));
  const auto minutes = parse_count(text.substr(colon + 1));
  if (!hours || !minutes || *minutes > 59 || *hours * 60 + *minutes > kEndOfDay) return std::nullopt;
  return *hours * 60 + *minutes;
}

std::optional<std::int64_t> parse_share(std::string_view text) {
  text = trim(text);
  if (!text.ends_with('%')) return std::nullopt;
  text = trim(text.substr(0, text.size() - 1));
  const std::size_t dot = text.find('.');
  std::string digits(dot == std::string_view::npos ? "" : text.substr(dot + 1));
  if (dot != std::string_view::npos && (digits.empty() || digits.size() > 2)) return std::nullopt;
  digits.resize(2, '0');
  const auto whole = parse_count(text.substr(0, dot));
  const auto rest = parse_count(digits);
  if (!whole || !rest || *whole > 1000) return std::nullopt;
  return *whole * 100 + *rest;
}

std::optional<Limit> parse_limit(Context& context, const Node& node) {
  if (node.kind == Node::Kind::integer) {
    context.error(Rg::unit_missing, node.region, fmt::format("a limit of {} of what, in which time?", node.integer),
                  fmt::format("write for instance \"{} messages / 1h\"", node.integer));
    return std::nullopt;
  }
  if (node.kind != Node::Kind::string) {
    context.error(Rg::wrong_type, node.region, fmt::format("a limit is a string, not {}", describe(node.kind)),
                  "write for instance \"500 recipients / 1h\"");
    return std::nullopt;
  }
  const std::string_view text = node.string;
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) {
    constexpr std::string_view kUnlimited[] = {"unlimited"};
    const bool none = text == kUnlimited[0] || is_meant_unlimited(text);
    context.error(Rg::limit_syntax, node.region, fmt::format("\"{}\" names no period", text),
                  none ? unlimited_help(text)
                       : limit_help(text, "write for instance \"500 recipients / 1h\" or \"25 MiB / 1d\""));
    return std::nullopt;
  }
  Limit limit;
  const bool good = parse_amount(context, node, trim(text.substr(0, slash)), limit) &&
                    parse_period(context, node, trim(text.substr(slash + 1)), limit);
  return good ? std::optional(limit) : std::nullopt;
}

}  // namespace replygate
