#include "policy/load/document.h"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <utility>

#include "policy/load/syntax_help.h"
#include "policy/load/twice_defined.h"

namespace replygate {
namespace {

Region region_of(const toml::source_region& source, const SharedText& file) {
  return {.file = file,
          .line = source.begin.line,
          .column = source.begin.column,
          .end_line = source.end.line,
          .end_column = source.end.column};
}

Node convert(toml::node& value, const SharedText& file);

Node convert_table(toml::table& table, const SharedText& file) {
  Node node{.kind = Node::Kind::table, .region = region_of(table.source(), file)};
  node.entries.reserve(table.size());
  for (auto&& [key, value] : table) {
    node.entries.push_back({std::string(key.str()), region_of(key.source(), file), convert(value, file)});
  }
  std::ranges::sort(node.entries, {}, [](const Entry& e) { return std::pair(e.key_region.line, e.key_region.column); });
  return node;
}

Node convert(toml::node& value, const SharedText& file) {
  if (auto* table = value.as_table()) return convert_table(*table, file);
  Node node{.kind = Node::Kind::other, .region = region_of(value.source(), file)};
  if (auto* array = value.as_array()) {
    node.kind = Node::Kind::array;
    node.items.reserve(array->size());
    for (auto& item : *array) node.items.push_back(convert(item, file));
  } else if (auto* text = value.as_string()) {
    node.kind = Node::Kind::string;
    node.string = std::move(text->get());
  } else if (const auto* integer = value.as_integer()) {
    node.kind = Node::Kind::integer;
    node.integer = integer->get();
  } else if (const auto* flag = value.as_boolean()) {
    node.kind = Node::Kind::boolean;
    node.boolean = flag->get();
  } else if (const auto* real = value.as_floating_point()) {
    node.kind = Node::Kind::real;
    node.real = real->get();
  }
  return node;
}

Diagnostic said_of(const TwiceDefined& twice, const SharedText& file, std::string help) {
  const auto region = [&](TwiceDefined::Spot spot) {
    const auto end = spot.column + static_cast<unsigned>(twice.name.size());
    return Region{.file = file, .line = spot.line, .column = spot.column, .end_line = spot.line, .end_column = end};
  };
  return {.level = Diagnostic::Level::error,
          .code = Rg::syntax,
          .message = fmt::format("{} is defined twice", twice.name),
          .primary = {region(twice.second), ""},
          .secondary = Label{region(twice.first), "first defined here"},
          .help = std::move(help)};
}

}  // namespace

const Entry* Node::find(std::string_view key) const {
  const auto it = std::ranges::find(entries, key, &Entry::key);
  return it == entries.end() ? nullptr : &*it;
}

std::string_view describe(Node::Kind kind) {
  constexpr std::array<std::string_view, 7> names = {"true or false", "a whole number", "a number",      "a string",
                                                     "an array",      "a table",        "a date or time"};
  return names[static_cast<std::size_t>(kind)];
}

std::variant<Node, Diagnostic> parse_document(std::string_view text, const std::string& file) try {
  auto table = toml::parse(text, file);
  return convert_table(table, file);
} catch (const toml::parse_error& error) {
  Region at = region_of(error.source(), file);
  at.end_line = at.line;
  at.end_column = at.column + 1;
  if (const auto twice = twice_defined(text, at.line, at.column, error.description())) {
    return said_of(*twice, file, syntax_help(text, at.line, at.column, error.description()));
  }
  return Diagnostic{.level = Diagnostic::Level::error,
                    .code = Rg::syntax,
                    .message = std::string(error.description()),
                    .primary = {at, ""},
                    .secondary = {},
                    .help = syntax_help(text, at.line, at.column, error.description())};
}

Region part_of(const Node& string, std::size_t offset, std::size_t length) {
  Region region = string.region;
  const bool one_to_one =
      region.line == region.end_line && region.end_column - region.column == string.string.size() + 2;
  if (!one_to_one) return region;
  region.column += 1 + static_cast<unsigned>(offset);
  region.end_column = region.column + static_cast<unsigned>(length);
  return region;
}

}  // namespace replygate
