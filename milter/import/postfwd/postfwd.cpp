#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "milter/import/pattern.h"
#include "milter/import/postfwd/answer.h"
#include "milter/import/postfwd/condition.h"
#include "milter/import/postfwd/lexer.h"
#include "milter/import/writer.h"
#include "policy/mail/text.h"

namespace replygate {
namespace import::postfwd {
namespace {

constexpr std::size_t kMostRules = 16;  // that one of theirs becomes

struct TheirRule {
  const Line* line = nullptr;
  std::string id;
  std::string action;
  std::vector<std::vector<Item>> items;  // those with one key together, which are alternatives
  bool never = false;                    // an item between two ';'
};

TheirRule rule_of(const Line& line) {
  TheirRule rule;
  rule.line = &line;
  rule.id = fmt::format("line-{}", line.number);
  for (const Item& item : line.items) {
    if (item.key == "id") {
      rule.id = item.value;
    } else if (item.key == "action") {
      rule.action = item.value;
    } else if (item.key.empty()) {
      rule.never = true;
    } else {
      const auto same = std::ranges::find_if(rule.items, [&](const auto& all) { return all.front().key == item.key; });
      same == rule.items.end() ? rule.items.push_back({item}) : same->push_back(item);
    }
  }
  return rule;
}

// All ways to fulfil the conditions, one rule each.
struct Ways {
  std::vector<RuleText> rules;
  std::map<std::string, std::vector<std::string>> patterns;  // of their `when`, by fact
  bool at_data = false;
  std::string why;     // why there are none of ours
  bool never = false;  // postfwd knows none either
};

Ways unusable(std::string why) {
  Ways ways;
  ways.why = std::move(why);
  return ways;
}

Ways ways_of(const TheirRule& rule, const ImportSource& source) {
  Ways ways;
  std::vector<std::vector<const Alternative*>> chosen = {{}};
  std::vector<Condition> conditions;
  for (const auto& items : rule.items) {
    conditions.push_back(condition_of(items, source));
    if (!conditions.back().why.empty()) return unusable(conditions.back().why);
  }
  for (const Condition& condition : conditions) {
    ways.never |= condition.alternatives.empty();
    std::vector<std::vector<const Alternative*>> longer;
    for (const auto& before : chosen) {
      for (const Alternative& one : condition.alternatives) {
        longer.push_back(before);
        longer.back().push_back(&one);
        for (const auto& [fact, patterns] : one.when) ways.patterns[fact] = patterns;
        ways.at_data |= one.at_data;
      }
    }
    chosen = std::move(longer);
    if (chosen.size() > kMostRules) return unusable("it would become too many rules");
  }
  for (const auto& all : chosen) {
    RuleText text;
    for (const Alternative* one : all) one->apply(text);
    ways.rules.push_back(std::move(text));
  }
  return ways;
}

class RuleSet {
 public:
  RuleSet(std::string_view text, const ImportSource& source)
      : source_(source), lines_(lines_of(text)), writer_("a rule set of postfwd", source) {}

  Imported import() {
    writer_.remark("postfwd's limits begin with the first request of a key; these slide.");
    for (const Line& line : lines_) {
      if (line.why.empty()) rules_.push_back(rule_of(line));
    }
    std::size_t index = 0;
    for (const Line& line : lines_) {
      if (!line.why.empty()) {
        lose(line, line.why);
      } else {
        write(index++);
      }
    }
    return writer_.finish();
  }

 private:
  void lose(const Line& line, std::string_view why) {
    writer_.lose(fmt::format("line {}", line.number), line.text, why);
  }

  // Where later rules may see mail that this one would have let pass, they would answer it in its place.
  void lose_with_shade(const TheirRule& rule, std::string_view why, bool shields) {
    lose(*rule.line, why);
    if (shields && !hangs_on_) hangs_on_ = rule.line->number;
  }

  void write(std::size_t index) {
    const TheirRule& rule = rules_[index];
    const Answer answer = answer_of(rule.action);
    if (const auto on = hangs_on(index))
      return lose_with_shade(rule, fmt::format("hangs on line {}", *on), answer.shields || !answer.jump.empty());
    const bool no_action = std::ranges::none_of(rule.line->items, [](const Item& i) { return i.key == "action"; });
    if (no_action) return lose(*rule.line, "postfwd ignores a rule without action");
    if (answer.kind == Answer::Kind::nothing)
      return writer_.remark(fmt::format("line {}: {} ({})", rule.line->number, rule.line->text, answer.why));
    Ways ways = ways_of(rule, source_);
    if (ways.never || rule.never) return lose(*rule.line, "in postfwd it never holds");
    if (answer.kind == Answer::Kind::lost) return lose_answer(index, answer);
    if (!ways.why.empty()) return lose_with_shade(rule, ways.why, answer.shields);
    if (!answer.unsaid.empty()) {
      writer_.remark(fmt::format("line {}: Postfix's log no longer says \"{}\"", rule.line->number, answer.unsaid));
    }
    const std::string why =
        answer.kind == Answer::Kind::limit ? write_limit(rule, ways, answer) : write_lines(rule, ways, answer);
    if (!why.empty()) lose_with_shade(rule, why, answer.shields);
  }

  // What comes before the target of a jump is passed over by what has jumped.
  void lose_answer(std::size_t index, const Answer& answer) {
    const TheirRule& rule = rules_[index];
    if (answer.jump.empty()) return lose_with_shade(rule, answer.why, answer.shields || sets_attribute(rule.action));
    const auto target =
        std::find_if(rules_.rbegin(), rules_.rend(), [&](const TheirRule& r) { return r.id == answer.jump; });
    if (target == rules_.rend())
      return writer_.remark(
          fmt::format("line {}: {} (there is no such rule, and postfwd goes on)", rule.line->number, rule.line->text));
    const std::size_t to = rules_.size() - 1 - static_cast<std::size_t>(target - rules_.rbegin());
    lose(*rule.line, answer.why);
    if (to <= index) hangs_on_ = rule.line->number;
    jumps_.emplace_back(index, to);
  }

  // set() of what later rules compare.
  static bool sets_attribute(std::string_view action) {
    if (!action.starts_with("set")) return false;
    const std::size_t open = action.find('(');
    for (const std::string_view one : split(action.substr(std::min(open, action.size() - 1) + 1), ',')) {
      if (attribute_of(trim(one.substr(0, one.find_first_of("=.+-*/"))))) return true;
    }
    return false;
  }

  std::optional<unsigned> hangs_on(std::size_t index) const {
    if (hangs_on_) return hangs_on_;
    for (const auto& [from, to] : jumps_) {
      if (index > from && index < to) return rules_[from].line->number;
    }
    return std::nullopt;
  }

  std::string write_lines(const TheirRule& rule, Ways& ways, const Answer& answer) {
    for (RuleText& text : ways.rules) {
      text.add("at", ways.at_data ? "\"data\"" : "\"rcpt\"");
      for (const auto& [key, value] : answer.lines) text.add(key, value);
    }
    return writer_.rules(rule.id, ways.rules);
  }

  std::string write_limit(const TheirRule& rule, Ways& ways, const Answer& answer) {
    const auto attribute = attribute_of(answer.key);
    if (answer.key == "global" && !sets_global()) {
      writer_.remark(fmt::format("line {}: {} (no request has \"global\", and postfwd goes on)", rule.line->number,
                                 rule.line->text));
      return "";
    }
    if (!attribute) return fmt::format("replygate cannot count by \"{}\"", answer.key);
    if (ways.rules.size() > 1) return "its conditions are alternatives, which would count apart";
    RuleText& text = ways.rules.front();
    RuleText empty = text;
    add_counting(text, answer, ways.at_data, attribute->fact);
    std::vector<RuleText> all = {text};
    if (needs_empty(ways, *attribute)) {
      const std::size_t equals = attribute->empty_when.find(" = ");
      empty.when(attribute->empty_when.substr(0, equals), attribute->empty_when.substr(equals + 3));
      add_counting(empty, answer, ways.at_data, "");
      all.push_back(std::move(empty));
    }
    return writer_.rules(rule.id, all);
  }

  static bool can_be_empty(const std::vector<std::string>& patterns) {
    return std::ranges::any_of(patterns, [](std::string_view pattern) {
      if (pattern.empty() || pattern == "false") return true;
      if (pattern.size() < 2 || pattern.front() != '/') return false;
      const auto regex = Regex::parse(pattern.substr(1, pattern.size() - 2));
      return !regex || regex->matches("");
    });
  }

  // postfwd counts what has no key together; ours must say so.
  static bool needs_empty(const Ways& ways, const Attribute& attribute) {
    if (attribute.empty_when.empty()) return false;
    const bool login = attribute.empty_when.starts_with("authenticated");
    const auto fits = [&](const std::string& fact) {
      const auto it = ways.patterns.find(fact);
      return it == ways.patterns.end() || can_be_empty(it->second);
    };
    if (login) return fits("authenticated") && fits("user") && fits("auth_mechanism");
    const auto null = ways.patterns.find("null_sender");
    const bool not_null = null != ways.patterns.end() && null->second.front() == "false";
    return !not_null && fits("sender") && fits("sender_domain") && fits("sender_local");
  }

  bool sets_global() const {
    return std::ranges::any_of(rules_, [](const TheirRule& r) {
      return r.action.starts_with("set") && r.action.find("global") != std::string::npos;
    });
  }

  static void add_counting(RuleText& text, const Answer& answer, bool at_data, std::string_view per) {
    if (!per.empty()) text.add("per", toml_string(per));
    text.add("limit", toml_string(answer.limit));
    text.add("count", "\"admitted\"");
    text.add("at", at_data || answer.at_data ? "\"data\"" : "\"rcpt\"");
    for (const auto& [key, value] : answer.lines) text.add(key, value);
  }

  const ImportSource& source_;
  std::vector<Line> lines_;
  std::vector<TheirRule> rules_;
  std::optional<unsigned> hangs_on_;  // the line whose loss has taken all behind it
  std::vector<std::pair<std::size_t, std::size_t>> jumps_;
  Writer writer_;
};

}  // namespace
}  // namespace import::postfwd

Imported import_postfwd(std::string_view text, const ImportSource& source) {
  return import::postfwd::RuleSet(import::cleaned(text), source).import();
}

}  // namespace replygate
