#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "milter/import/pattern.h"
#include "milter/import/writer.h"
#include "policy/mail/domain.h"
#include "policy/mail/ip.h"
#include "policy/mail/quantity.h"
#include "policy/mail/text.h"

namespace replygate {
namespace import::exim {
namespace {

constexpr std::string_view kVerbs[] = {"accept", "defer", "deny", "discard", "drop", "require", "warn"};

struct Part {
  bool negated = false;
  std::string name;
  std::string value;
};

struct Statement {
  unsigned line = 0;
  std::string verb;
  std::vector<Part> parts;
  std::string text;  // for people
};

struct Beyond {
  std::string why;
};

bool is_verb(std::string_view word) { return std::ranges::find(kVerbs, word) != std::end(kVerbs); }

std::optional<Part> part_of(std::string_view line) {
  Part part;
  line = trim(line);
  if (line.starts_with('!')) {
    part.negated = true;
    line = trim(line.substr(1));
  }
  const std::size_t equals = line.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  part.name = trim(line.substr(0, equals));
  part.value = trim(line.substr(equals + 1));
  return part;
}

// Lines go on behind a '\'; a verb begins a statement.
std::vector<Statement> statements_of(std::string_view text) {
  std::vector<Statement> all;
  std::string line;
  unsigned number = 0;
  for (const std::string_view physical : split(text, '\n')) {
    ++number;
    if (physical.empty() || physical.starts_with('#')) continue;
    line += physical;
    if (line.ends_with('\\')) {
      line.pop_back();
      continue;
    }
    const std::string whole = std::exchange(line, "");
    const std::string_view word = std::string_view(whole).substr(0, whole.find_first_of(" \t"));
    std::string_view rest = whole;
    if (is_verb(word)) {
      all.push_back({.line = number, .verb = std::string(word), .parts = {}, .text = {}});
      rest = trim(rest.substr(word.size()));
    }
    if (all.empty()) continue;
    all.back().text += (all.back().text.empty() ? "" : " ") + whole;
    if (const auto part = part_of(rest)) all.back().parts.push_back(*part);
  }
  return all;
}

// A list of Exim: parted by ':', a doubled one is itself, and "<;" names another sign.
std::vector<std::string> list_of(std::string_view text) {
  std::vector<std::string> all;
  char separator = ':';
  if (text.starts_with('<') && text.size() > 1) {
    separator = text[1];
    text.remove_prefix(2);
  }
  std::string item;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == separator && i + 1 < text.size() && text[i + 1] == separator) {
      item += text[i++];
    } else if (i == text.size() || text[i] == separator) {
      all.emplace_back(trim(item));
      item.clear();
    } else {
      item += text[i];
    }
  }
  return all;
}

using Patterns = std::pair<std::string, std::vector<std::string>>;  // of a fact

std::string pattern_in(const std::string& name, const std::string& item) {
  if (name == "hosts") {
    const auto network = IpNetwork::parse(item);
    if (!network) throw Beyond{fmt::format("the host \"{}\" is no network", item)};
    return network->text();
  }
  if (item.find_first_of("+!$/\\^") != std::string::npos && item.find('@') == std::string::npos)
    throw Beyond{fmt::format("\"{}\" is a list or a look-up", item)};
  if (name == "senders" || name == "recipients") {
    const std::string_view bare = item.starts_with("*@") ? std::string_view(item).substr(1) : std::string_view(item);
    if (bare.find_first_of("+!$/\\^*?") != std::string_view::npos || bare.find('@') == std::string_view::npos)
      throw Beyond{fmt::format("\"{}\" is no plain address", item)};
    return std::string(bare);
  }
  if (!canonical_domain(item) || item.find('*') != std::string::npos)
    throw Beyond{fmt::format("\"{}\" is no plain domain", item)};
  return item;
}

Patterns patterns_of(const Part& part) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kFacts = {{{"hosts", "client_ip"},
                                                                                    {"senders", "sender"},
                                                                                    {"recipients", "recipient"},
                                                                                    {"sender_domains", "sender_domain"},
                                                                                    {"domains", "recipient_domain"}}};
  if (part.name == "authenticated" && part.value == "*") return {"authenticated", {"true"}};
  if (part.name == "encrypted" && part.value == "*") return {"tls", {"true"}};
  const auto fact = std::ranges::find_if(kFacts, [&](const auto& f) { return f.first == part.name; });
  if (fact == kFacts.end()) throw Beyond{fmt::format("replygate has no condition \"{}\"", part.name)};
  Patterns patterns{std::string(fact->second), {}};
  for (const std::string& item : list_of(part.value)) patterns.second.push_back(pattern_in(part.name, item));
  return patterns;
}

bool is_modifier(std::string_view name) {
  constexpr std::string_view kModifiers[] = {"message", "log_message", "logwrite", "log_reject_target"};
  return std::ranges::find(kModifiers, name) != std::end(kModifiers);
}

// "100 / 1h / per_rcpt / strict / $sender_host_address"
struct Rate {
  std::int64_t most = 0;
  Duration period{};
  std::string unit = "messages";
  std::string key = "client_ip";
  bool strict = false;
};

std::string fact_of(std::string_view key) {
  if (key.starts_with("${lc:") && key.ends_with('}')) key = key.substr(5, key.size() - 6);
  constexpr std::pair<std::string_view, std::string_view> kKeys[] = {
      {"$sender_host_address", "client_ip"}, {"$authenticated_id", "user"},
      {"$sender_address", "sender"},         {"$sender_address_domain", "sender_domain"},
      {"$local_part@$domain", "recipient"},  {"$domain", "recipient_domain"}};
  const auto known = std::ranges::find_if(kKeys, [&](const auto& k) { return k.first == key; });
  if (known == std::end(kKeys)) throw Beyond{fmt::format("replygate does not count by \"{}\"", key)};
  return std::string(known->second);
}

Rate rate_in(std::string_view text) {
  const auto fields = split(text, '/');
  if (fields.size() < 2) throw Beyond{"a rate needs a number and a period"};
  Rate rate;
  const auto most = parse_count(fields[0]);
  const auto period = parse_duration(fields[1]);
  if (!most || *most < 2 || !period) throw Beyond{"its number or its period is not a plain one"};
  rate.most = *most;
  rate.period = *period;
  for (std::size_t i = 2; i < fields.size(); ++i) {
    const std::string_view field = fields[i];
    if (field == "strict") {
      rate.strict = true;
    } else if (field == "per_rcpt") {
      rate.unit = "recipients";
    } else if (field == "per_mail" || field == "leaky") {
      continue;
    } else if (field.starts_with("per_") || field.starts_with("unique=") || field.starts_with("count=") ||
               field == "readonly" || field == "noupdate") {
      throw Beyond{fmt::format("replygate has no {}", field)};
    } else {
      rate.key = fact_of(field);
    }
  }
  return rate;
}

class Acl {
 public:
  explicit Acl(const ImportSource& source) : writer_("an ACL of Exim", source) {}

  Imported import(std::string_view text) {
    writer_.remark("Exim's rates are averages that fade; these are buckets as deep, which fill at the same rate.");
    for (const Statement& statement : statements_of(text)) read(statement);
    return writer_.finish();
  }

 private:
  void lose(const Statement& statement, std::string_view why) {
    writer_.lose(fmt::format("line {}", statement.line), statement.text, why);
  }

  void read(const Statement& statement) {
    const auto rates = std::ranges::count(statement.parts, "ratelimit", &Part::name);
    if (rates == 0) return pass_over(statement);
    if (!hangs_on_.empty()) return lose(statement, fmt::format("hangs on {}", hangs_on_));
    try {
      if (rates > 1) throw Beyond{"two rates must both be reached"};
      if (statement.verb != "deny" && statement.verb != "defer" && statement.verb != "drop")
        throw Beyond{fmt::format("\"{}\" does not refuse", statement.verb)};
      write(statement);
    } catch (const Beyond& beyond) {
      lose(statement, beyond.why);
      if (statement.verb == "accept" || statement.verb == "discard") hangs_on_ = fmt::format("line {}", statement.line);
    }
  }

  // Whom an earlier statement accepts is not asked for a rate.
  void pass_over(const Statement& statement) {
    if (statement.verb != "accept" && statement.verb != "discard") {
      if (statement.verb != "warn")
        writer_.remark(fmt::format("line {} stays with Exim: {}", statement.line, statement.text));
      return;
    }
    std::vector<Part> conditions;
    std::ranges::copy_if(statement.parts, std::back_inserter(conditions),
                         [](const Part& p) { return !is_modifier(p.name); });
    const std::string where = fmt::format("line {}: {}", statement.line, statement.text);
    if (conditions.size() != 1 || conditions[0].negated) {
      if (hangs_on_.empty()) hangs_on_ = where;
      return;
    }
    try {
      exempt_.push_back(patterns_of(conditions[0]));
      writer_.remark(where + ", which is exempt below");
    } catch (const Beyond&) {
      if (hangs_on_.empty()) hangs_on_ = where;
    }
  }

  void write(const Statement& statement) {
    RuleText rule;
    Rate rate;
    std::string message;
    for (const Part& part : statement.parts) {
      if (part.name == "message") {
        message = part.value;
      } else if (part.name == "ratelimit") {
        if (part.negated) throw Beyond{"it refuses what is below the rate"};
        rate = rate_in(part.value);
      } else if (!is_modifier(part.name)) {
        add(rule, part);
      }
    }
    check_key(rate);
    for (const auto& [fact, patterns] : exempt_) rule.unless(fact, patterns);
    finish(rule, rate, statement.verb, message);
    const std::string why = writer_.rule(fmt::format("ratelimit-{}", statement.line), rule);
    if (!why.empty()) throw Beyond{why};
  }

  void add(RuleText& rule, const Part& part) {
    const auto [fact, patterns] = patterns_of(part);
    if (fact == "authenticated" || fact == "tls") {
      rule.when(fact, part.negated ? "false" : "true");
      authenticated_ |= fact == "authenticated" && !part.negated;
    } else if (part.negated) {
      rule.unless(fact, patterns);
    } else {
      rule.when(fact, toml_list(patterns));
    }
  }

  // Where a key is empty Exim counts all such mail together.
  void check_key(const Rate& rate) {
    if (rate.key == "user" && !std::exchange(authenticated_, false))
      throw Beyond{"without login all count together; add authenticated = * to it"};
    if (rate.key == "sender" || rate.key == "sender_domain") throw Beyond{"bounces count together there"};
  }

  static void finish(RuleText& rule, const Rate& rate, const std::string& verb, const std::string& message) {
    rule.add("per", toml_string(rate.key));
    rule.add("limit", toml_string(fmt::format("{} {} / {}", rate.most, rate.unit, format_duration(rate.period))));
    rule.add("burst", fmt::format("{}", rate.most - 1));  // who sends at the limit is over it there
    rule.add("count", rate.strict ? "\"attempts\"" : "\"admitted\"");
    rule.add("at", "\"rcpt\"");
    const std::string text =
        message.find('$') == std::string::npos && !message.empty() ? message : "Sender rate over limit";
    const bool defer = verb == "defer";
    rule.add("reply", fmt::format("{{ code = {}, enhanced = \"{}\", text = {} }}", defer ? 451 : 550,
                                  defer ? "4.7.1" : "5.7.1", toml_string(template_text(text))));
  }

  std::vector<Patterns> exempt_;
  std::string hangs_on_;
  bool authenticated_ = false;
  Writer writer_;
};

}  // namespace
}  // namespace import::exim

Imported import_exim(std::string_view text, const ImportSource& source) {
  return import::exim::Acl(source).import(import::cleaned(text));
}

}  // namespace replygate
