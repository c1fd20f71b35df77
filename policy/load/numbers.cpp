#include "policy/load/numbers.h"

#include <array>
#include <limits>

#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

constexpr auto kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::array<std::string_view, 2> kScopes = {"message", "session"};

std::optional<std::int64_t> number(FactKind kind, std::string_view text) {
  return kind == FactKind::size ? parse_size(text) : parse_count(text);
}

std::optional<NumberRange> range_of(FactKind kind, std::string_view text) {
  text = trim(text);
  if (const std::size_t dots = text.find(".."); dots != std::string_view::npos) {
    const auto least = number(kind, trim(text.substr(0, dots)));
    const auto most = number(kind, trim(text.substr(dots + 2)));
    if (!least || !most || *least > *most) return std::nullopt;
    return NumberRange{*least, *most};
  }
  const std::size_t end = text.find_first_not_of("<>=!");
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view sign = text.substr(0, end);
  const auto value = number(kind, trim(text.substr(end)));
  if (!value) return std::nullopt;
  if (sign.empty() || sign == "=" || sign == "==") return NumberRange{*value, *value};
  if (sign == "!=") return NumberRange{*value, *value, true};
  if (sign == ">=") return NumberRange{*value, kMost};
  if (sign == ">") return NumberRange{*value + 1, kMost};
  if (sign == "<=") return NumberRange{0, *value};
  if (sign == "<") return NumberRange{0, *value - 1};
  return std::nullopt;
}

}  // namespace

std::optional<NumberRange> parse_range(Context& context, FactKind kind, std::string_view fact, const Node& node) {
  if (node.kind == Node::Kind::integer && kind == FactKind::count) return NumberRange{node.integer, node.integer};
  if (node.kind == Node::Kind::integer) {
    context.error(Rg::unit_missing, node.region, fmt::format("{} is a size; {} of what?", fact, node.integer),
                  fmt::format("write \"{} MB\", \"> {} MiB\" or \"{} B\"", node.integer, node.integer, node.integer));
    return std::nullopt;
  }
  if (!context.expect(node, Node::Kind::string, fact)) return std::nullopt;
  const auto range = range_of(kind, node.string);
  if (!range) {
    context.error(Rg::quantity, node.region, fmt::format("\"{}\" compares {} with nothing", node.string, fact),
                  kind == FactKind::size ? "write for instance \"> 25 MB\", \"<= 10 MiB\" or \"1 MB..5 MB\""
                                         : "write for instance \"> 100\", \"<= 5\" or \"10..20\"");
  }
  return range;
}

std::optional<Limit> parse_limit(Context& context, const Node& node) {
  if (node.kind == Node::Kind::integer) {
    context.error(Rg::unit_missing, node.region, fmt::format("a limit of {} of what, in which time?", node.integer),
                  fmt::format("write for instance \"{} messages / 1h\"", node.integer));
    return std::nullopt;
  }
  if (!context.expect(node, Node::Kind::string, "a limit")) return std::nullopt;
  const std::string& text = node.string;
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos) {
    context.error(Rg::limit_syntax, node.region, fmt::format("\"{}\" names no period", text),
                  fmt::format("write for instance \"{} / 1h\"", trim(text)));
    return std::nullopt;
  }
  const std::string_view amount = trim(std::string_view(text).substr(0, slash));
  const std::string_view period = trim(std::string_view(text).substr(slash + 1));
  Limit limit;
  const std::size_t blank = amount.find(' ');
  const std::string_view unit_word = blank == std::string_view::npos ? "" : trim(amount.substr(blank));
  if (const auto size = parse_size(amount)) {
    limit.most = *size;
    limit.unit = Unit::bytes;
  } else if (const auto count = parse_count(amount.substr(0, blank)); count && !unit_word.empty()) {
    const auto unit = unit_from(unit_word);
    if (!unit && context.report_if_planned("unit", unit_word, node.region)) return std::nullopt;
    if (!unit) {
      context.error(Rg::unknown_unit, part_of(node, text.find(unit_word), unit_word.size()),
                    fmt::format("a limit cannot count \"{}\"", unit_word),
                    suggestion(unit_word, unit_names(), "it counts"));
      return std::nullopt;
    }
    limit.most = *count;
    limit.unit = *unit;
  } else {
    context.error(Rg::limit_syntax, part_of(node, text.find(amount), amount.size()),
                  fmt::format("\"{}\" is no number with unit", amount),
                  "write for instance \"500 recipients / 1h\" or \"25 MiB / 1d\"");
    return std::nullopt;
  }
  if (period == "message" || period == "session") {
    limit.scope = period == "message" ? Scope::message : Scope::session;
  } else if (const auto duration = parse_duration(period)) {
    limit.period = *duration;
  } else {
    context.error(
        Rg::quantity, part_of(node, text.rfind(period), period.size()), fmt::format("\"{}\" is no period", period),
        nearest(period, kScopes).empty() ? "write for instance \"30s\", \"1h\", \"1d\", \"message\" or \"session\""
                                         : suggestion(period, kScopes, ""));
    return std::nullopt;
  }
  return limit;
}

}  // namespace replygate
