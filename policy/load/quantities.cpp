#include "policy/load/quantities.h"

#include "policy/load/meant.h"
#include "policy/mail/quantity.h"

namespace replygate {
namespace {

bool has(const Range& range, std::int64_t value) { return value >= range.least && value <= range.most; }

void say_range(Context& context, const Node& node, std::string_view key, const Range& range) {
  context.error(Rg::out_of_range, node.region, fmt::format("{} is out of range", key),
                fmt::format("write something from {} to {}", range.least_text, range.most_text));
}

bool in_range(Context& context, const Node& node, std::string_view key, std::int64_t value, const Range& range) {
  if (!has(range, value)) say_range(context, node, key, range);
  return has(range, value);
}

// "0s", "-5m", "-1 MB", "99999d": what no range has.
template <typename Parse>
bool is_beyond_ranges(std::string_view text, Parse parse) {
  if (text.starts_with('-')) return parse(text.substr(1)).has_value();
  const std::size_t unit = text.find_first_not_of("0123456789");
  return unit > 0 && unit != std::string_view::npos && parse(fmt::format("1{}", text.substr(unit))).has_value();
}

std::string help_for(const std::string& meant, const Range& range) {
  return meant.empty() ? fmt::format("write for instance {}", range.most_text) : fmt::format("write \"{}\"", meant);
}

// The text of a quantity with a unit; nothing where it is absent or of another type.
const Node* text_of(Context& context, const Node& table, std::string_view key, std::string_view what,
                    std::string_view example) {
  const Entry* e = table.find(key);
  if (e == nullptr) return nullptr;
  if (e->value.kind == Node::Kind::integer) {
    context.error(Rg::unit_missing, e->value.region,
                  fmt::format("{} is a {}; {} of what?", key, what, e->value.integer),
                  fmt::format("write for instance {}", example));
    return nullptr;
  }
  return context.expect(e->value, Node::Kind::string, key) ? &e->value : nullptr;
}

}  // namespace

void read_number(Context& context, const Node& table, std::string_view key, const Range& range, std::int64_t& value) {
  const Entry* e = table.find(key);
  if (e == nullptr || !context.expect(e->value, Node::Kind::integer, key)) return;
  if (in_range(context, e->value, key, e->value.integer, range)) value = e->value.integer;
}

void read_size(Context& context, const Node& table, std::string_view key, const Range& range, std::int64_t& value) {
  const Node* node = text_of(context, table, key, "size", range.most_text);
  if (node == nullptr) return;
  const auto octets = parse_size(node->string);
  if (!octets && is_beyond_ranges(node->string, parse_size)) {
    say_range(context, *node, key, range);
  } else if (!octets) {
    context.error(Rg::quantity, node->region, fmt::format("\"{}\" is not a size", node->string),
                  help_for(meant_size(node->string), range));
  } else if (in_range(context, *node, key, *octets, range)) {
    value = *octets;
  }
}

void read_duration(Context& context, const Node& table, std::string_view key, const Range& range, Duration& value) {
  const Entry* e = table.find(key);
  const std::int64_t seconds = e == nullptr ? 0 : e->value.integer;
  const bool fits = seconds >= 0 && seconds <= range.most / 1000 && has(range, seconds * 1000);
  const std::string example = fits ? fmt::format("\"{}s\"", seconds) : std::string(range.least_text);
  const Node* node = text_of(context, table, key, "duration", example);
  if (node == nullptr) return;
  const auto time = parse_duration(node->string);
  if (!time && is_beyond_ranges(node->string, parse_duration)) {
    say_range(context, *node, key, range);
  } else if (!time) {
    context.error(Rg::quantity, node->region, fmt::format("\"{}\" is not a duration", node->string),
                  help_for(meant_duration(node->string), range));
  } else if (in_range(context, *node, key, *time / std::chrono::milliseconds(1), range)) {
    value = *time;
  }
}

}  // namespace replygate
