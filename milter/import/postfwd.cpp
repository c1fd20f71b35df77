#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "milter/import/importer.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace {

using import::RuleText;

enum class Kind : std::uint8_t { text, address, number, size };
struct Item {
  std::string_view name;
  std::string_view fact;
  Kind kind;
};
// clang-format off: a table, one row an entry
constexpr std::array kItems = {
    Item{"client_address", "client_ip", Kind::address},
    Item{"client_name", "client_name", Kind::text},
    Item{"helo_name", "helo", Kind::text},
    Item{"sender", "sender", Kind::text},
    Item{"sender_domain", "sender_domain", Kind::text},
    Item{"sender_localpart", "sender_local", Kind::text},
    Item{"recipient", "recipient", Kind::text},
    Item{"recipient_domain", "recipient_domain", Kind::text},
    Item{"recipient_localpart", "recipient_local", Kind::text},
    Item{"sasl_username", "user", Kind::text},
    Item{"sasl_method", "auth_mechanism", Kind::text},
    Item{"encryption_protocol", "tls_version", Kind::text},
    Item{"encryption_cipher", "tls_cipher", Kind::text},
    Item{"encryption_keysize", "tls_bits", Kind::number},
    Item{"ccert_subject", "tls_subject", Kind::text},
    Item{"ccert_issuer", "tls_issuer", Kind::text},
    Item{"recipient_count", "recipients", Kind::number},
    Item{"size", "declared_size", Kind::size},
};
// clang-format on
constexpr std::array<std::string_view, 8> kOperators = {"==", "!=", "=~", "!~", "=>", ">=", "=<", "<="};

const Item* find_item(std::string_view name) {
  const auto it = std::ranges::find(kItems, name, &Item::name);
  return it == kItems.end() ? nullptr : &*it;
}

// "sender_domain =~ /x/" in its parts.
struct Comparison {
  std::string_view name;
  std::string_view sign;
  std::string value;
};

std::optional<Comparison> parse_comparison(std::string_view text) {
  const std::size_t at = text.find_first_of("=!<>");
  if (at == 0 || at == std::string_view::npos) return std::nullopt;
  Comparison c{.name = trim(text.substr(0, at)), .sign = "=", .value = ""};
  for (const std::string_view sign : kOperators) {
    if (text.substr(at).starts_with(sign)) c.sign = sign;
  }
  c.value = trim(text.substr(at + c.sign.size()));
  return c;
}

std::string pattern_of(const Comparison& c, Kind kind) {
  std::string value = c.value;
  const bool slashes = value.size() > 1 && value.starts_with('/') && value.ends_with('/');
  if (slashes) value = value.substr(1, value.size() - 2);
  switch (kind) {
    case Kind::address: return value;
    case Kind::number:
    case Kind::size: {
      const std::string unit = kind == Kind::size ? " B" : "";
      if (c.sign == "==" || c.sign == "!=") return value + unit;
      return fmt::format("{} {}{}", c.sign == "=<" || c.sign == "<=" ? "<=" : ">=", value, unit);
    }
    case Kind::text: break;
  }
  if (c.sign == "==" || c.sign == "!=") return value;
  return fmt::format("/{}/", value);
}

class Postfwd {
 public:
  Imported import(std::string_view text) {
    result_.policy = import::head("a rule set of postfwd");
    unsigned number = 0;
    std::string rule;
    unsigned began = 0;
    for (std::string_view line : lines_of(text)) {
      ++number;
      if (const std::size_t hash = line.find('#'); hash != std::string_view::npos) line = line.substr(0, hash);
      const bool continues = !line.empty() && is_blank(line.front()) && !rule.empty();
      if (!continues) flush(rule, began);
      if (trim(line).empty()) continue;
      if (rule.empty()) began = number;
      rule += trim(line);
      if (rule.ends_with('\\')) rule.pop_back();
      if (!rule.ends_with(';')) rule += ';';
    }
    flush(rule, began);
    result_.policy += import::comments(result_.lost);
    return std::move(result_);
  }

 private:
  static std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      lines.push_back(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
  }

  void lose(unsigned line, std::string_view what, std::string_view why) {
    result_.lost.push_back(fmt::format("line {}: {} ({})", line, what, why));
  }

  void flush(std::string& rule, unsigned line) {
    const std::string text = std::exchange(rule, "");
    if (text.empty()) return;
    if (text.starts_with("&&")) return define_macro(text);
    write(text, line);
  }

  void define_macro(std::string_view text) {
    const std::size_t open = text.find('{');
    const std::size_t close = text.rfind('}');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return;
    macros_[std::string(trim(text.substr(0, open)))] = trim(text.substr(open + 1, close - open - 1));
  }

  // The items of a rule, macros in their place; macros that name each other end at kMostSteps.
  std::vector<std::string> items_of(std::string_view text) {
    std::vector<std::string> items;
    steps_ = 0;
    add_items(text, 0, items);
    return items;
  }

  void add_items(std::string_view text, int depth, std::vector<std::string>& items) {
    constexpr std::size_t kMostSteps = 1000;
    for (const std::string_view item : split(text, ';')) {
      if (++steps_ > kMostSteps) return;
      const auto macro = macros_.find(std::string(item));
      if (macro != macros_.end() && depth < 8) {
        add_items(macro->second, depth + 1, items);
      } else if (!item.empty()) {
        items.emplace_back(item);
      }
    }
  }

  void write(std::string_view text, unsigned line) {
    std::string id = fmt::format("line-{}", line);
    std::string action;
    using Conditions = std::map<std::string, std::vector<std::string>, std::less<>>;
    Conditions when;
    Conditions unless;
    for (const std::string& item : items_of(text)) {
      auto c = parse_comparison(item);
      if (!c) return lose(line, item, "not understood");
      if (c->name == "id") {
        id = c->value;
      } else if (c->name == "action") {
        action = item.substr(item.find('=') + 1);
      } else if (const Item* known = find_item(c->name); known != nullptr) {
        bool negative = c->sign.starts_with('!');
        if (c->value.starts_with("!!")) {
          negative = !negative;
          c->value = trim(std::string_view(c->value).substr(2));
          if (c->value.starts_with('(') && c->value.ends_with(')')) c->value = c->value.substr(1, c->value.size() - 2);
        }
        auto& list = (negative ? unless : when)[std::string(known->fact)];
        for (const std::string_view part : parts(c->value, known->kind)) {
          list.push_back(pattern_of({c->name, c->sign, std::string(part)}, known->kind));
        }
      } else {
        return lose(line, item, "replygate has no such fact");
      }
    }
    RuleText rule(unique(import::name_of(id)));
    for (const auto& [fact, values] : when) rule.condition(true, fact, RuleText::quoted_list(values));
    for (const auto& [fact, values] : unless) rule.condition(false, fact, RuleText::quoted_list(values));
    if (!add_action(rule, trim(action))) {
      return lose(line, fmt::format("action={}", trim(action)), "replygate has no such action");
    }
    const std::string written = rule.text();
    if (const std::string why = import::problem_of(written); !why.empty()) return lose(line, text, why);
    result_.policy += written;
  }

  // Values of addresses may be lists.
  static std::vector<std::string_view> parts(std::string_view value, Kind kind) {
    return kind == Kind::address ? split(value, ',') : std::vector<std::string_view>{value};
  }

  std::string unique(const std::string& name) {
    std::string result = name;
    for (int count = 2; !names_.insert(result).second; ++count) result = fmt::format("{}-{}", name, count);
    return result;
  }

  bool add_action(RuleText& rule, std::string_view action) {
    if (const auto reply = import::reply_of(action); !reply.empty()) {
      rule.add("reply", reply);
      return true;
    }
    const std::string_view word = action.substr(0, action.find_first_of(" \t("));
    if (word == "rate" || word == "rcpt" || word == "size") return add_limit(rule, word, action);
    if (equal_ignoring_case(word, "DUNNO") || equal_ignoring_case(word, "OK") || equal_ignoring_case(word, "PERMIT")) {
      rule.add("accept", "true");
    } else if (equal_ignoring_case(word, "HOLD")) {
      const std::string_view reason = import::rest_of(action);
      rule.add("hold", RuleText::quoted(reason.empty() ? "held by policy" : reason.substr(0, 200)));
    } else if (equal_ignoring_case(word, "DISCARD")) {
      rule.add("discard", "true");
    } else if (equal_ignoring_case(word, "PREPEND")) {
      const std::string_view field = import::rest_of(action);
      const std::size_t colon = field.find(':');
      if (colon == std::string_view::npos) return false;
      rule.add("header", fmt::format("{{ {} = {} }}", RuleText::quoted(trim(field.substr(0, colon))),
                                     RuleText::quoted(trim(field.substr(colon + 1)))));
    } else {
      return false;
    }
    return true;
  }

  // "rate(client_address/100/3600/450 4.7.1 slow down)"
  static bool add_limit(RuleText& rule, std::string_view word, std::string_view action) {
    const std::size_t open = action.find('(');
    const std::size_t close = action.rfind(')');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open) return false;
    const auto fields = split(action.substr(open + 1, close - open - 1), '/');
    if (fields.size() < 4) return false;
    const Item* item = find_item(fields[0]);
    const auto amount = parse_count(fields[1]);
    const auto seconds = parse_count(fields[2]);
    const std::size_t reply_at = static_cast<std::size_t>(fields[3].data() - action.data());
    const auto reply = import::reply_of(action.substr(reply_at, close - reply_at));
    if (item == nullptr || !amount || !seconds || *seconds == 0 || reply.empty()) return false;
    const std::string unit = word == "size" ? "B" : word == "rcpt" ? "recipients" : "messages";
    rule.add("per", RuleText::quoted(item->fact));
    rule.add("limit", RuleText::quoted(
                          fmt::format("{} {} / {}", *amount, unit, format_duration(std::chrono::seconds(*seconds)))));
    rule.add("reply", reply);
    return true;
  }

  Imported result_;
  std::map<std::string, std::string> macros_;
  std::set<std::string> names_;
  std::size_t steps_ = 0;  // of the expansion of one rule
};

}  // namespace

Imported import_postfwd(std::string_view text) { return Postfwd().import(import::cleaned(text)); }

}  // namespace replygate
