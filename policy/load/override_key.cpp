#include "policy/load/override_key.h"

#include <re2/re2.h>

#include <algorithm>

#include "policy/load/number_pattern.h"
#include "policy/load/pattern_signs.h"
#include "policy/mail/quantity.h"
#include "policy/mail/subaddress.h"
#include "policy/mail/text.h"
#include "policy/mail/tls_version.h"
#include "policy/rules/key_map.h"
#include "policy/rules/key_part.h"

namespace replygate {
namespace {

constexpr std::string_view kAnyInPart = R"((?:[^|\\]|\\.)*)";
constexpr std::string_view kOneInPart = R"((?:[^|\\]|\\.))";

bool is_textual(FactKind kind) {
  switch (kind) {
    case FactKind::text:
    case FactKind::version:
    case FactKind::local_part:
    case FactKind::domain:
    case FactKind::address:
    case FactKind::login: return true;
    default: return false;
  }
}

std::string_view example_of(FactKind kind) {
  switch (kind) {
    case FactKind::boolean: return "write \"true\" or \"false\"";
    case FactKind::ip: return "write an address; a network is a key where client_ip alone is the key";
    case FactKind::address: return "write for instance \"user@example.org\"";
    case FactKind::domain: return "write for instance \"example.org\"";
    case FactKind::local_part: return "write for instance \"user\"";
    case FactKind::size: return "write for instance \"25 MiB\"";
    case FactKind::percent: return "write for instance \"80%\"";
    case FactKind::duration: return "write for instance \"5m\"";
    case FactKind::clock: return "write for instance \"08:30\"";
    case FactKind::weekday: return "write for instance \"monday\"";
    default: return "write the value as records show it";
  }
}

// Text as shown_part() has it.
std::string literal(std::string_view text) {
  std::string expression;
  for (const char c : text) {
    if (c == '\\') {
      expression += R"(\\{1,2})";
    } else if (c == kPartSeparator) {
      expression += R"(\\\|)";
    } else {
      expression += re2::RE2::QuoteMeta(std::string(1, c));
    }
  }
  return expression;
}

bool has_tag(std::string_view text, Fact fact, const Site& site) {
  if (site.subaddress.empty() || !may_have_tag(info(fact).kind) || text.starts_with('$')) return false;
  // An expression may allow for a tag and match without; a domain has none.
  if (text.starts_with('/') || (info(fact).kind == FactKind::address && text.find('@') == std::string_view::npos)) {
    return false;
  }
  return text.size() > 1 && without_tag(text, site.subaddress) != text;
}

bool has_changing_form(std::string_view text, Fact fact, const Site& site) {
  if (fact != Fact::sender && fact != Fact::sender_local) return false;
  const std::string lowered = to_lower(text);
  const auto begins = [&](std::string_view word) {
    return lowered.starts_with(word) || lowered.starts_with("/^" + std::string(word));
  };
  const bool batv = (site.normalize & bit(SenderForm::batv)) != 0 && (begins("prvs=") || begins("btv1=="));
  const bool srs = (site.normalize & bit(SenderForm::srs)) != 0 && (begins("srs0") || begins("srs1"));
  return batv || srs;
}

class KeyReader {
 public:
  KeyReader(Context& context, Patterns& patterns, const std::vector<FactRef>& per, const Region& at)
      : context_(context), patterns_(patterns), per_(per), at_(at) {}

  std::optional<OverrideKey> read(std::string_view text) {
    if (is_closed_expression(text))
      return of_pattern(text, per_.size() == 1 ? subject_of(per_.front().fact) : Subject());
    const auto parts = parts_of_key(text);
    if (parts.size() != per_.size()) return wrong_number(text, parts.size());
    const bool network = per_.size() == 1 && per_.front().maps.empty() && per_.front().fact == Fact::client_ip &&
                         text.find('/') != std::string_view::npos;
    if (network && IpNetwork::parse(text)) return of_networks(text);
    if (std::ranges::none_of(parts, is_pattern)) return of_exact_parts(parts);
    const Fact fact = per_.front().fact;
    if (parts.size() == 1 && !per_.front().maps.empty()) return of_pattern(text, Subject());
    if (parts.size() == 1 && fact == Fact::client_ip && text.starts_with('$')) return of_networks(text);
    if (parts.size() > 1) return of_pattern_parts(parts);
    return is_textual(info(fact).kind) ? of_pattern(text, subject_of(fact)) : of_exact_parts(parts);
  }

 private:
  // A pattern for keys as they are shown.
  std::optional<OverrideKey> of_pattern(std::string_view text, const Subject& subject) {
    if (per_.size() == 1 && per_.front().maps.empty() && is_left_out(text, per_.front().fact)) return std::nullopt;
    auto set = patterns_.text_pattern(std::string(text), at_, subject);
    if (set == nullptr) return std::nullopt;
    return OverrideKey{.exact = {}, .pattern = std::move(set), .networks = {}, .list = text.starts_with('$')};
  }

  // A network, or a $list of them.
  std::optional<OverrideKey> of_networks(std::string_view text) {
    const Node node{.kind = Node::Kind::string, .region = at_, .string = std::string(text)};
    const auto set = patterns_.compile(subject_of(Fact::client_ip), "client_ip", node);
    if (!set) return std::nullopt;
    return OverrideKey{.exact = {},
                       .pattern = {},
                       .networks = std::get<std::shared_ptr<const NetworkSet>>(*set),
                       .list = text.starts_with('$')};
  }

  std::optional<OverrideKey> of_pattern_parts(const std::vector<std::string>& parts) {
    std::string expression = "^";
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto part =
          per_[i].maps.empty() ? expression_of(parts[i], per_[i].fact) : expression_of_name(parts[i], per_[i].fact);
      if (!part) return std::nullopt;
      expression += (i > 0 ? R"(\|)" : "") + *part;
    }
    auto set = std::make_shared<TextSet>();
    set->add_regex(expression + '$');
    return OverrideKey{.exact = {}, .pattern = std::move(set), .networks = {}};
  }

  std::optional<OverrideKey> of_exact_parts(const std::vector<std::string>& parts) {
    OverrideKey key;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const auto part = per_[i].maps.empty() ? exact(parts[i], per_[i].fact) : exact_name(parts[i]);
      if (!part) return std::nullopt;
      if (i > 0) key.exact += kPartSeparator;
      key.exact += shown_part(*part);
    }
    return key;
  }

  std::optional<OverrideKey> wrong_number(std::string_view text, std::size_t parts) {
    std::string names;
    for (const FactRef& fact : per_) names += (names.empty() ? "" : "|") + fact.text();
    context_.error(Rg::override_key, at_,
                   fmt::format("\"{}\" has {} {}, and keys of the rule have {}", text, parts,
                               parts == 1 ? "part" : "parts", per_.size()),
                   fmt::format("write \"{}\"; a '|' within a part is written \"\\|\"", names));
    return std::nullopt;
  }

  // What a map says is counted as it stands.
  std::optional<std::string> exact_name(std::string_view text) {
    std::string name = counted_name(text);
    if (!name.empty()) return name;
    context_.error(Rg::override_key, at_, "a map never says \"\"", "write one of the names that it says");
    return std::nullopt;
  }

  std::optional<std::string> expression_of_name(const std::string& text, Fact fact) {
    if (text == "*") return std::string(kAnyInPart);
    if (is_pattern(text)) return not_in_parts(text, fact);
    const auto name = exact_name(text);
    return name ? std::optional(literal(*name)) : std::nullopt;
  }

  std::optional<std::string> exact(std::string_view text, Fact fact) {
    const Site& site = patterns_.site();
    auto part = canonical_key_part(text, fact, site);
    const bool version = info(fact).kind == FactKind::version;
    if (version && part && versions_allowed(*part).value_or(std::vector<std::string>()).size() != 1) part.reset();
    const bool count = info(fact).kind == FactKind::count;
    if (count && part && !is_ever(fact, parse_count(*part).value_or(0))) part.reset();
    if (part) part = key_part(*std::move(part), fact, site);
    if (!part) {
      context_.error(Rg::override_key, at_,
                     text.empty()
                         ? fmt::format("{} is never \"\" in a key: the rule then does not apply", info(fact).name)
                         : fmt::format("no key is \"{}\": that is not a value of {}", text, info(fact).name),
                     help_for(text, fact));
    }
    return part;
  }

  std::string help_for(std::string_view text, Fact fact) const {
    if (info(fact).kind == FactKind::version) return version_help(text);
    if (fact == Fact::client_net)
      return fmt::format("[keys] cuts networks so: \"{}\"", net_like(text, patterns_.site()));
    const bool number = info(fact).kind == FactKind::count && parse_count(text);
    return number ? span_help(fact) : std::string(example_of(info(fact).kind));
  }

  // True, with an error, for a pattern of what keys are counted without.
  bool is_left_out(std::string_view text, Fact fact) {
    const Site& site = patterns_.site();
    std::string help;
    if (has_tag(text, fact, site)) {
      const bool expression = text.starts_with('/');
      help = expression ? "omit the tag" : fmt::format("write \"{}\"", without_tag(text, site.subaddress));
    } else if (has_changing_form(text, fact, site)) {
      help = "[keys] normalize has the sender itself in keys: write \"user@example.org\"";
    } else {
      return false;
    }
    context_.error(Rg::override_key, at_, fmt::format("no key matches \"{}\": [keys] leaves that out of keys", text),
                   std::move(help));
    return true;
  }

  // What a part of a pattern allows, as an expression for keys of several parts.
  std::optional<std::string> expression_of(const std::string& text, Fact fact) {
    if (!is_pattern(text)) {
      const auto part = exact(text, fact);
      return part ? std::optional(literal(*part)) : std::nullopt;
    }
    if (!is_textual(info(fact).kind) || text.starts_with('/') || text.starts_with('$')) return not_in_parts(text, fact);
    if (is_left_out(text, fact)) return std::nullopt;
    if (text.find_first_of("*?") != std::string::npos) return open_part(text, fact);
    // Brought to canonical form, and checked, as any other pattern of the fact.
    const auto set = patterns_.text_pattern(text, at_, subject_of(fact));
    if (set == nullptr) return std::nullopt;
    const std::string any(kAnyInPart);
    for (const std::string_view domain : set->at_domains()) return any + literal(fmt::format("@{}", domain));
    for (const std::string_view domain : set->trees()) return "(?:" + any + "[@.])?" + literal(domain);
    for (const std::string_view local : set->locals()) return literal(fmt::format("{}@", local)) + any;
    return std::nullopt;
  }

  std::optional<std::string> open_part(const std::string& text, Fact fact) {
    const auto glob = patterns_.glob(text, at_, subject_of(fact));
    if (!glob) return std::nullopt;
    std::string expression;
    for (const char c : *glob) {
      expression += c == '*'   ? std::string(kAnyInPart)
                    : c == '?' ? std::string(kOneInPart)
                               : literal(std::string_view(&c, 1));
    }
    return expression;
  }

  std::nullopt_t not_in_parts(const std::string& text, Fact fact) {
    context_.error(Rg::override_key, at_, fmt::format("\"{}\" cannot be a part of a key of several facts", text),
                   is_textual(info(fact).kind)
                       ? "a part is a value, or a pattern like \"*@example.org\" or \"@example.org\""
                       : std::string(example_of(info(fact).kind)));
    return std::nullopt;
  }

  Context& context_;
  Patterns& patterns_;
  const std::vector<FactRef>& per_;
  const Region& at_;
};

}  // namespace

bool is_same_pattern(const TextSet& one, const TextSet& other) {
  TextParts a;
  TextParts b;
  one.collect(a);
  other.collect(b);
  return a.exact == b.exact && a.trees == b.trees && a.at_domains == b.at_domains && a.locals == b.locals &&
         a.sources == b.sources;
}

std::optional<OverrideKey> override_key(Context& context, Patterns& patterns, const std::vector<FactRef>& per,
                                        std::string_view text, const Region& at) {
  return KeyReader(context, patterns, per, at).read(text);
}

}  // namespace replygate
