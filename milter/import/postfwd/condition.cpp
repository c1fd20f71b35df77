#include "milter/import/postfwd/condition.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>

#include "milter/import/pattern.h"
#include "milter/import/postfwd/moment.h"
#include "policy/base/re2_piece.h"
#include "policy/mail/ip.h"
#include "policy/mail/text.h"

namespace replygate::import::postfwd {
namespace {

enum class ItemKind : std::uint8_t { text, network, number, size, state, time, days };
struct Known {
  std::string_view key;
  std::string_view fact;
  ItemKind kind;
  Text text = Text::plain;
  std::string_view present;  // under which condition it is not empty; "": always
};
// clang-format off: a table, one row an entry
constexpr Known kKnown[] = {
    {"client_address", "client_ip", ItemKind::network},
    {"client_name", "client_name", ItemKind::text, Text::host},
    {"helo_name", "helo", ItemKind::text, Text::host, "helo = \"/./\""},
    {"sender", "sender", ItemKind::text, Text::address},
    {"sender_domain", "sender_domain", ItemKind::text, Text::host, "null_sender = false"},
    {"sender_localpart", "sender_local", ItemKind::text, Text::local, "null_sender = false"},
    {"recipient", "recipient", ItemKind::text, Text::address},
    {"recipient_domain", "recipient_domain", ItemKind::text, Text::host},
    {"recipient_localpart", "recipient_local", ItemKind::text, Text::local},
    {"sasl_username", "user", ItemKind::text, Text::login, "authenticated = true"},
    {"sasl_method", "auth_mechanism", ItemKind::text, Text::plain, "authenticated = true"},
    {"encryption_protocol", "tls_version", ItemKind::text, Text::plain, "tls = true"},
    {"encryption_cipher", "tls_cipher", ItemKind::text, Text::plain, "tls = true"},
    {"encryption_keysize", "tls_bits", ItemKind::number},
    {"ccert_subject", "tls_subject", ItemKind::text, Text::plain, "tls_subject = \"/./\""},
    {"ccert_issuer", "tls_issuer", ItemKind::text, Text::plain, "tls_issuer = \"/./\""},
    {"recipient_count", "recipients", ItemKind::number},
    {"size", "declared_size", ItemKind::size},
    {"protocol_state", "recipients", ItemKind::state},
    {"time", "time", ItemKind::time},
    {"days", "weekday", ItemKind::days},
};
// clang-format on
constexpr std::size_t kMostAlternatives = 16;
constexpr int kDeepestFile = 8;

const Known* find_known(std::string_view key) {
  const auto it = std::ranges::find(kKnown, key, &Known::key);
  return it == std::end(kKnown) ? nullptr : &*it;
}

bool is_regex(std::string_view sign) { return sign == "=~" || sign == "!~" || sign == "="; }

// "!!(value)" without its negation; nothing where it has none.
std::optional<std::string> denied(std::string_view value) {
  static const RE2 negation(R"(!!\s*\(?\s*(.+?)\s*\)?)");
  std::string inner;
  if (!RE2::FullMatch(to_piece(value), negation, &inner)) return std::nullopt;
  return inner;
}

// Each of them goes by itself.
std::string without_slashes(std::string_view value) {
  if (value.starts_with('/')) value.remove_prefix(1);
  if (value.ends_with('/')) value.remove_suffix(1);
  return std::string(value);
}

// One value of an item, and whether it is negated by "!!".
struct Value {
  std::string sign;
  std::string text;
  bool denied = false;

  // The sign's own negation, and that of "!!".
  bool positive() const { return (sign == "!=" || sign == "!~") == denied; }
};

Value value_of(const Item& item) {
  Value value{.sign = item.sign, .text = item.value};
  if (auto inner = denied(value.text)) {
    value.text = *std::move(inner);
    value.denied = true;
  }
  if (is_regex(value.sign)) value.text = without_slashes(value.text);
  return value;
}

// What an item means where one value is wrong: nothing of it is carried.
struct Unusable {
  std::string why;
};

// Values of tables and files in place of their names, and of lists.
class Values {
 public:
  explicit Values(const ImportSource& source) : source_(source) {}

  std::vector<Value> of(const std::vector<Item>& all, bool lists) {
    for (const Item& item : all) {
      if (!lists) {
        add(item, 0);
        continue;
      }
      if (item.value.empty()) continue;  // such an item is none
      for (const std::string_view part : split(item.value, ',')) add({item.key, item.sign, std::string(part)}, 0);
    }
    return std::move(result_);
  }

 private:
  void add(const Item& item, int depth) {
    static const RE2 file("(?i)([cl]?(?:file|table)):(.+)");
    std::string type;
    std::string path;
    if (!RE2::FullMatch(item.value, file, &type, &path)) return result_.push_back(value_of(item));
    const auto content = source_.read(path);
    if (!content) throw Unusable{fmt::format("{} cannot be read here", path)};
    if (depth >= kDeepestFile) throw Unusable{fmt::format("{} goes on in further files", path)};
    const bool table = type.size() > 4 && equal_ignoring_case(type.substr(type.size() - 5), "table");
    for (const std::string_view line : split(*content, '\n')) {
      std::string_view entry = trim(line.substr(0, line.find('#')));
      if (entry.empty()) continue;
      const std::size_t blank = entry.find_last_of(" \t");
      if (table && blank != std::string_view::npos) entry = trim(entry.substr(0, blank));
      add({item.key, item.sign, std::string(entry)}, depth + 1);
    }
  }

  const ImportSource& source_;
  std::vector<Value> result_;
};

// Of one item, growing by its values.
class Alternatives {
 public:
  explicit Alternatives(const Known& known) : known_(known) {}

  void matches(const std::vector<std::string>& patterns, std::string_view fact = "") {
    for (const std::string& pattern : patterns) matches_.push_back(pattern);
    if (!fact.empty()) fact_ = fact;
  }
  void lacks(const std::vector<std::string>& patterns, bool present) {
    Alternative one;
    one.unless.emplace_back(known_.fact, patterns);
    if (present) require_present(one);
    others_.push_back(std::move(one));
  }
  void also(Alternative one) { others_.push_back(std::move(one)); }

  std::vector<Alternative> finish() {
    if (!matches_.empty()) {
      Alternative one;
      one.when.emplace_back(fact_.empty() ? std::string(known_.fact) : fact_, matches_);
      others_.insert(others_.begin(), std::move(one));
    }
    return std::move(others_);
  }

  void require_present(Alternative& one) const {
    const std::size_t equals = known_.present.find(" = ");
    if (equals == std::string_view::npos) return;
    std::string value(known_.present.substr(equals + 3));
    if (value.starts_with('"')) value = value.substr(1, value.size() - 2);
    one.when.emplace_back(known_.present.substr(0, equals), std::vector<std::string>{value});
  }

 private:
  const Known& known_;
  std::string fact_;
  std::vector<std::string> matches_;
  std::vector<Alternative> others_;
};

// Every text, in a way that is a condition.
std::vector<std::string> anything(const Known& known) {
  if (known.kind == ItemKind::network) return {"0.0.0.0/0", "::/0"};
  if (known.key == "sender") return {"/./", ""};
  return {"/^/"};
}

// postfwd knows the null sender as "<>".
bool is_sender(const Known& known) { return known.key == "sender"; }

// "Has logged in", as people write it there.
bool is_any_text(std::string_view source) {
  constexpr std::string_view kAny[] = {".", ".+", "^.", "^.+", "^.+$", "^(.+)$", "(.+)", "\\S", "\\S+"};
  return std::ranges::find(kAny, source) != std::end(kAny);
}

void add_regex(const Known& known, const Value& value, Alternatives& result) {
  if (known.key == "sasl_username" && is_any_text(value.text)) {
    return result.also({.when = {{"authenticated", {value.positive() ? "true" : "false"}}}, .unless = {}});
  }
  const auto regex = Regex::parse(value.text);
  if (!regex) throw Unusable{fmt::format("\"{}\" is no regular expression of RE2", value.text)};
  std::vector<std::string> patterns = {regex->pattern()};
  const bool null_matches = is_sender(known) && regex->matches("<>");
  const bool empty_matches = is_sender(known) && regex->matches("");
  if (null_matches && !empty_matches) patterns.emplace_back();
  const bool not_null = empty_matches && !null_matches;
  if (value.positive()) {
    if (!not_null) return result.matches(patterns);
    return result.also({.when = {{std::string(known.fact), patterns}, {"null_sender", {"false"}}}, .unless = {}});
  }
  result.lacks(patterns, false);
  if (not_null) result.also({.when = {{"null_sender", {"true"}}}, .unless = {}});
}

void add_exact(const Known& known, const Value& value, Alternatives& result) {
  const bool null = is_sender(known) && value.text == "<>";
  const std::vector<std::string> patterns = {null ? "" : exact_pattern(value.text, known.text)};
  if (!value.positive()) return result.lacks(patterns, value.sign == "!=");
  result.matches(patterns);
  if (value.denied && !known.present.empty()) throw Unusable{"a value that may be empty is negated twice"};
}

void add_text(const Known& known, const Value& value, Alternatives& result) {
  if (value.sign == "==" || value.sign == "!=") return add_exact(known, value, result);
  if (is_regex(value.sign)) return add_regex(known, value, result);
  throw Unusable{fmt::format("{} compares a text as a number", value.sign)};
}

// "Whatever it is": how it can be said of a network.
struct Networks {
  enum class Reach : std::uint8_t { none, some, all };
  Reach reach = Reach::none;
  std::string pattern;
};

Networks networks_of(const Value& value) {
  using Reach = Networks::Reach;
  if (value.text == "0.0.0.0/0") return {.reach = Reach::all, .pattern = {}};
  static const RE2 ipv4(R"(\d+\.\d+\.\d+\.\d+(?:/\d\d?)?)");
  if (RE2::FullMatch(value.text, ipv4)) {
    const auto network = IpNetwork::parse(value.text);
    if (!network) throw Unusable{fmt::format("\"{}\" is no network", value.text)};
    return {.reach = Reach::some, .pattern = network->text()};
  }
  if (const auto address = IpAddress::parse(value.text)) {
    // As text, and not as an address.
    if (is_regex(value.sign) || address->text() != value.text) throw Unusable{"an IPv6 address is compared as a text"};
    return {.reach = Reach::some, .pattern = value.text};
  }
  if (is_regex(value.sign) && value.text.find("\\.") == std::string::npos) {
    throw Unusable{"IPv6 addresses are compared as texts"};
  }
  return {};
}

void add_network(const Known& known, const Value& value, Alternatives& result) {
  using Reach = Networks::Reach;
  const Networks networks = networks_of(value);
  const bool positive = (value.sign == "!=") == value.denied;
  switch (networks.reach) {
    case Reach::some: return positive ? result.matches({networks.pattern}) : result.lacks({networks.pattern}, false);
    case Reach::all:
      if (positive) result.matches(anything(known));
      return;
    case Reach::none:
      if (!positive) result.matches(anything(known));
      return;
  }
}

std::string inverse(std::string_view comparison) {
  constexpr std::pair<std::string_view, std::string_view> kInverse[] = {{"", "!= "},   {"!= ", ""},   {"<= ", "> "},
                                                                        {"> ", "<= "}, {">= ", "< "}, {"< ", ">= "}};
  const auto it = std::ranges::find_if(kInverse, [&](const auto& i) { return i.first == comparison; });
  return std::string(it->second);
}

void add_number(const Known& known, const Value& value, Alternatives& result) {
  constexpr std::pair<std::string_view, std::string_view> kSigns[] = {
      {"==", ""}, {"!=", "!= "}, {"=<", "<= "}, {"=>", ">= "}, {"<", "< "}, {">", "> "}, {"!<", "> "}, {"!>", "< "}};
  const bool digits = !value.text.empty() && value.text.size() <= 15 && std::ranges::all_of(value.text, is_digit);
  if (!digits) throw Unusable{fmt::format("\"{}\" is no number", value.text)};
  const auto sign = std::ranges::find_if(kSigns, [&](const auto& s) { return s.first == value.sign; });
  std::string comparison(sign == std::end(kSigns) ? ">= " : sign->second);
  if (value.denied) comparison = inverse(comparison);
  result.matches({fmt::format("{}{}{}", comparison, value.text, known.kind == ItemKind::size ? " B" : "")});
}

// At RCPT it is always the same: then it stands for a condition that always holds.
void add_state(const Value& value, Alternatives& result) {
  const auto regex = Regex::parse(value.text);
  const auto holds = [&](std::string_view state) {
    const bool equal = is_regex(value.sign) ? regex && regex->matches(state) : equal_ignoring_case(state, value.text);
    return equal == value.positive();
  };
  if (holds("RCPT")) {
    result.matches({">= 1"});
  } else if (holds("DATA")) {
    result.also({.when = {{"recipients", {">= 1"}}}, .unless = {}, .at_data = true});
  } else if (holds("END-OF-MESSAGE")) {
    throw Unusable{"it is asked behind the message, and not at RCPT or DATA"};
  }
}

void add_moment(const Known& known, const Value& value, Alternatives& result) {
  const auto pattern = known.kind == ItemKind::time ? time_pattern(value.text) : days_pattern(value.text);
  if (!pattern) throw Unusable{fmt::format("\"{}\" is no range of {} that replygate has", value.text, known.key)};
  if (pattern->empty()) return;
  (value.sign == "!=") == value.denied ? result.matches({*pattern}) : result.lacks({*pattern}, false);
}

// In Perl an empty expression is the one that has matched last, which "=" has just done.
void add_empty(const Known& known, const Value& value, Alternatives& result) {
  if (value.sign == "=~" || value.sign == "!~") throw Unusable{"an empty expression is the one before in Perl"};
  switch (known.kind) {
    case ItemKind::number:
    case ItemKind::size: return add_number(known, {.sign = value.sign, .text = "0"}, result);
    case ItemKind::network:
      if (value.sign == "!=") result.matches(anything(known));
      return;
    case ItemKind::text:
      if (value.sign == "=") result.matches(anything(known));
      if (value.sign == "!=") result.matches(known.present.empty() ? anything(known) : std::vector<std::string>{"/./"});
      return;
    case ItemKind::state:
      if (value.sign != "==") result.matches({">= 1"});
      return;
    case ItemKind::time:
    case ItemKind::days: return;
  }
}

void add_value(const Known& known, const Value& value, Alternatives& result) {
  if (value.text.empty()) return add_empty(known, value, result);
  if (value.text.find("$$") != std::string::npos) throw Unusable{"it is compared with another attribute"};
  switch (known.kind) {
    case ItemKind::text: return add_text(known, value, result);
    case ItemKind::network: return add_network(known, value, result);
    case ItemKind::number:
    case ItemKind::size: return add_number(known, value, result);
    case ItemKind::state: return add_state(value, result);
    case ItemKind::time:
    case ItemKind::days: return add_moment(known, value, result);
  }
}

// At RCPT and behind it.
Alternative always() {
  Alternative one;
  one.when.emplace_back("recipients", std::vector<std::string>{">= 1"});
  return one;
}

bool takes_lists(ItemKind kind) {
  return kind == ItemKind::network || kind == ItemKind::time || kind == ItemKind::days;
}

}  // namespace

void Alternative::apply(RuleText& rule) const {
  const auto is_bare = [](const std::vector<std::string>& values) {
    return values.size() == 1 && (values[0] == "true" || values[0] == "false");
  };
  for (const auto& [fact, values] : when) rule.when(fact, is_bare(values) ? values[0] : toml_list(values));
  for (const auto& [fact, values] : unless) rule.unless(fact, values);
}

Condition condition_of(const std::vector<Item>& all, const ImportSource& source) try {
  for (const Item& item : all) {
    if (item.sign.empty()) throw Unusable{"it has no sign"};
  }
  const Known* known = find_known(all.front().key);
  if (known == nullptr)
    return {.alternatives = {}, .why = fmt::format("replygate has no fact for \"{}\"", all.front().key)};
  Alternatives result(*known);
  const auto values = Values(source).of(all, takes_lists(known->kind));
  if (values.empty() && takes_lists(known->kind)) return {.alternatives = {always()}, .why = {}};
  for (const Value& value : values) add_value(*known, value, result);
  std::vector<Alternative> alternatives = result.finish();
  if (alternatives.size() > kMostAlternatives) throw Unusable{"too many values that are negated one by one"};
  for (Alternative& one : alternatives) one.at_data |= known->key == "recipient_count";
  return {.alternatives = std::move(alternatives), .why = {}};
} catch (const Unusable& unusable) {
  return {.alternatives = {}, .why = fmt::format("{}: {}", all.front().key, unusable.why)};
}

std::optional<Attribute> attribute_of(std::string_view key) {
  const Known* known = find_known(key);
  if (known == nullptr || (known->kind != ItemKind::text && known->kind != ItemKind::network)) return std::nullopt;
  Attribute attribute{.fact = std::string(known->fact), .empty_when = {}};
  if (is_sender(*known) || known->present == "null_sender = false") attribute.empty_when = "null_sender = true";
  if (known->present == "authenticated = true") attribute.empty_when = "authenticated = false";
  return attribute;
}

}  // namespace replygate::import::postfwd
