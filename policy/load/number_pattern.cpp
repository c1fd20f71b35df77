#include "policy/load/number_pattern.h"

#include <algorithm>
#include <limits>

#include "policy/load/numbers.h"

namespace replygate {
namespace {

// Between which numbers the values of a fact lie.
struct ValueSpan {
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();

  bool meets(const NumberRange& range) const {
    if (range.inverse) return least < range.least || most > range.most;
    return range.least <= most && range.most >= least && range.least <= range.most;
  }
};

// `messages` and `recipients` count the one that is judged.
ValueSpan value_span_of(std::string_view fact) {
  const FactInfo* row = find_fact(fact);
  if (row == nullptr) return {};
  switch (row->fact) {
    case Fact::messages:
    case Fact::recipients: return {.least = 1};
    case Fact::client_port: return {.most = 65535};
    default: return {};
  }
}

std::string help_for(const ValueSpan& span) {
  return span.most == ValueSpan().most ? fmt::format("it is never below {}", span.least)
                                       : fmt::format("it is from {} to {}", span.least, span.most);
}

std::string written(const Node& node) {
  return node.kind == Node::Kind::integer ? std::to_string(node.integer) : fmt::format("\"{}\"", node.string);
}

class NumberReader {
 public:
  NumberReader(Context& context, FactKind kind, std::string_view fact)
      : context_(context), kind_(kind), fact_(fact), span_(value_span_of(fact)) {}

  void add(const Node& node) {
    const bool number = kind_ == FactKind::count;
    if (number && node.kind != Node::Kind::integer && node.kind != Node::Kind::string) return not_whole(node);
    const auto ranges = parse_range(context_, kind_, fact_, node);
    // What contradicts itself was reported there.
    const bool read = !ranges.empty() && ranges.front().least <= ranges.front().most;
    if (read && std::ranges::none_of(ranges, [&](const NumberRange& r) { return span_.meets(r); })) {
      context_.error(Rg::cannot_match, node.region, fmt::format("{} is never {}", fact_, written(node)),
                     help_for(span_));
    }
    result_.insert(result_.end(), ranges.begin(), ranges.end());
  }

  std::vector<NumberRange> take() { return std::move(result_); }

 private:
  void not_whole(const Node& node) {
    context_.error(
        Rg::wrong_type, node.region,
        fmt::format("{} is a whole number or a comparison, not {}", fact_,
                    node.kind == Node::Kind::real ? fmt::format("{}", node.real) : std::string(describe(node.kind))),
        "write for instance 5, \"> 100\" or \"10..20\"");
  }

  Context& context_;
  FactKind kind_;
  std::string_view fact_;
  ValueSpan span_;
  std::vector<NumberRange> result_;
};

}  // namespace

bool is_ever(Fact fact, std::int64_t number) { return value_span_of(info(fact).name).meets({number, number}); }

std::string span_help(Fact fact) { return help_for(value_span_of(info(fact).name)); }

std::vector<NumberRange> number_pattern(Context& context, FactKind kind, std::string_view fact, const Node& pattern) {
  NumberReader reader(context, kind, fact);
  if (pattern.kind == Node::Kind::array) {
    for (const Node& item : pattern.items) reader.add(item);
  } else {
    reader.add(pattern);
  }
  return reader.take();
}

}  // namespace replygate
